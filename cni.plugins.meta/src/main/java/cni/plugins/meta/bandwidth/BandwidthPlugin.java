package cni.plugins.meta.bandwidth;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.SpecVersion;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.tc.Qdisc;
import cni.netlink.ffm.tc.TcConstants;
import cni.netlink.ffm.tc.TcFilter;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Slows the container down: what it receives where its veth begins on the host, and what it sends
 * on an ifb that this goes through first. Names and layout are the reference plugin's.
 */
public final class BandwidthPlugin implements NetworkPlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private static final int FILTER_PRIORITY = 1;

  /** The plugin as the runtime makes it. */
  public BandwidthPlugin() {}

  @Override
  public String type() {
    return "bandwidth";
  }

  /** {@inheritDoc} As the reference plugin, those in which results have interfaces. */
  @Override
  public Set<SpecVersion> versions() {
    return SpecVersion.ALL.stream()
        .filter(version -> version.compareTo(SpecVersion.V0_3_0) >= 0)
        .collect(Collectors.toUnmodifiableSet());
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    BandwidthConfig config = BandwidthConfig.parse(request.config());
    Result previous = PreviousResult.require(request);
    if (config.isUnlimited()) {
      return previous;
    }
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "limiting " + request.attachment().interfaceName(),
          () -> {
            Link port = requireHostVeth(request, previous, host, sandbox);
            int index = port.index();
            if (config.ingress().isPresent()) {
              shape(host, index, ingress(config), rollback);
            }
            if (config.egress().isEmpty()) {
              return previous;
            }
            host.rtnetlink()
                .execute(
                    Qdisc.add(index, "ingress", TcConstants.INGRESS_HANDLE, TcConstants.INGRESS));
            rollback.add(
                () -> removeQdisc(host, index, TcConstants.INGRESS_HANDLE, TcConstants.INGRESS));
            // Only now: where the port is limited already, its ifb must stay.
            Link ifb = ifb(request).create(host, port.mtu(), egress(config).queueLength());
            rollback.add(() -> ifb(request).delete(host));
            host.rtnetlink().execute(TcFilter.redirectIngress(index, FILTER_PRIORITY, ifb.index()));
            host.rtnetlink().execute(egress(config).requests(ifb.index()));
            List<Result.Interface> interfaces = new ArrayList<>(previous.interfaces());
            interfaces.add(new Result.Interface(ifb.name(), ifb.mac(), 0, ""));
            return previous.withInterfaces(interfaces);
          });
    }
  }

  /** Takes back no qdisc but one that it made itself. */
  private static void shape(NetNsSession host, int link, TrafficShaper shaper, Rollback rollback)
      throws IOException {
    for (NetlinkRequest request : shaper.requests(link)) {
      host.rtnetlink().execute(request);
      rollback.add(() -> removeQdisc(host, link, TcConstants.handle(1, 0), TcConstants.ROOT));
    }
  }

  private static TrafficShaper ingress(BandwidthConfig config) {
    return new TrafficShaper(
        config.ingress().orElseThrow(), config.subnets(), config.onlySubnetsShaped(), true);
  }

  private static TrafficShaper egress(BandwidthConfig config) {
    return new TrafficShaper(
        config.egress().orElseThrow(), config.subnets(), config.onlySubnetsShaped(), false);
  }

  private static ShapingIfb ifb(AttachmentRequest request) throws CniException {
    return ShapingIfb.of(request.config().network(), request.attachment().id());
  }

  /** Where the container's veth begins on the host. */
  private static Link requireHostVeth(
      AttachmentRequest request, Result previous, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {
    Link container = AttachmentCheck.requireInterface(request, sandbox);
    Optional<Link> peer =
        container.isKind("veth")
            ? host.rtnetlink().link(container.linkedIndex())
            : Optional.empty();
    boolean named =
        peer.isPresent()
            && previous.interfaces().stream()
                .anyMatch(it -> it.isOnHost() && it.name().equals(peer.get().name()));
    if (!named) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "prevResult names no interface on the host that is the other end of "
              + container.name()
              + ": bandwidth must follow a plugin that makes a veth, such as bridge or ptp");
    }
    return peer.get();
  }

  private static void removeQdisc(NetNsSession host, int link, int handle, int parent)
      throws IOException {
    host.rtnetlink()
        .executeIgnoring(
            Qdisc.delete(link, handle, parent), Errno.ENODEV, Errno.ENOENT, Errno.EINVAL);
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    BandwidthConfig config = BandwidthConfig.parse(request.config());
    Result previous = request.requirePrevResult();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      if (config.isUnlimited()) {
        return;
      }
      Link port = requireHostVeth(request, previous, host, sandbox);
      if (config.ingress().isPresent()) {
        ingress(config).check(host.rtnetlink(), port);
      }
      if (config.egress().isPresent()) {
        checkEgress(host, port, ifb(request), egress(config));
      }
    } catch (IOException e) {
      throw NetNsSession.failure(
          "checking the limits of " + request.attachment().interfaceName(), e);
    }
  }

  private static void checkEgress(
      NetNsSession host, Link port, ShapingIfb limiting, TrafficShaper shaper)
      throws CniException, IOException {
    Optional<Link> ifb = limiting.find(host);
    if (ifb.isEmpty() || !ifb.get().isUp()) {
      throw AttachmentCheck.mismatch(
          "interface %s, which limits what the container sends, is %s"
              .formatted(limiting.name(), ifb.isEmpty() ? "missing" : "down"));
    }
    boolean redirected =
        TcFilter.list(host.rtnetlink(), port.index(), TcConstants.INGRESS_HANDLE).stream()
            .anyMatch(filter -> filter.redirect() == ifb.get().index());
    if (!redirected) {
      throw AttachmentCheck.mismatch(
          "no filter sends what comes in by %s through %s"
              .formatted(port.name(), ifb.get().name()));
    }
    shaper.check(host.rtnetlink(), ifb.get());
  }

  /** {@inheritDoc} The queues of the veth are removed even though they would go with it. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      ifb(request).delete(host);
      removeQdiscs(request, host);
    } catch (IOException e) {
      throw NetNsSession.failure(
          "removing the limits of " + request.attachment().interfaceName(), e);
    }
  }

  /** Those that the configuration has ADD make at the host's end of the veth, if it is there. */
  private static void removeQdiscs(AttachmentRequest request, NetNsSession host)
      throws CniException, IOException {
    BandwidthConfig config;
    try {
      config = BandwidthConfig.parse(request.config());
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "with this nothing can have been limited", e);
      return;
    }
    Optional<NetNsSession> open = NetNsSession.openContainerIfPresent(request, host);
    if (open.isPresent()) {
      try (NetNsSession sandbox = open.get()) {
        Optional<Link> port = findHostVeth(request, host, sandbox);
        if (port.isPresent() && config.ingress().isPresent()) {
          removeQdisc(host, port.get().index(), TcConstants.handle(1, 0), TcConstants.ROOT);
        }
        if (port.isPresent() && config.egress().isPresent()) {
          removeQdisc(host, port.get().index(), TcConstants.INGRESS_HANDLE, TcConstants.INGRESS);
        }
      }
    }
  }

  private static Optional<Link> findHostVeth(
      AttachmentRequest request, NetNsSession host, NetNsSession sandbox) throws IOException {
    Optional<Link> container = sandbox.rtnetlink().link(request.attachment().interfaceName());
    return container.isPresent()
        ? host.rtnetlink()
            .hostPeers(List.of(new RouteSocket.VethPeer(sandbox.netns(), container.get())))
            .getFirst()
        : Optional.empty();
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      ShapingIfb.deleteStale(host, request.config().network(), request.valid());
    } catch (IOException e) {
      throw NetNsSession.failure("removing stale limits", e);
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    BandwidthConfig.parse(request.config());
  }
}
