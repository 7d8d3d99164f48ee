package cni.plugins.chained;

import static cni.plugins.chained.Log.LOG;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.CollectRequest;
import cni.api.ErrorCode;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.SpecVersion;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkMessage;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Rtnetlink;
import cni.netlink.ffm.tc.Qdisc;
import cni.netlink.ffm.tc.Tc;
import cni.netlink.ffm.tc.TcFilter;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.Attempt;
import cni.sandbox.Namespace;
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
    if (config.isEmpty()) {
      return previous;
    }
    var rollback = new Rollback();
    try (Namespace host = Namespace.ofHost(request.context());
        Namespace sandbox = Namespace.ofContainer(request, host)) {
      return Attempt.orTakeBack(
          "limiting " + request.attachment().interfaceName(),
          rollback,
          () -> {
            Link port = hostLink(request, previous, host, sandbox);
            int index = port.index();
            if (config.ingress().isPresent()) {
              shape(host, index, ingress(config), rollback);
            }
            if (config.egress().isEmpty()) {
              return previous;
            }
            host.routing().execute(Qdisc.add(index, "ingress", Tc.INGRESS_HANDLE, Tc.INGRESS));
            rollback.add(() -> removeQdisc(host, index, Tc.INGRESS_HANDLE, Tc.INGRESS));
            // Only now: where the port is limited already, its ifb must stay.
            Link ifb = ifb(request).create(host, port.mtu(), egress(config).queueLength());
            rollback.add(() -> ifb(request).delete(host));
            host.routing().execute(TcFilter.redirectIncoming(index, FILTER_PRIORITY, ifb.index()));
            host.routing().execute(egress(config).requests(ifb.index()));
            List<Result.Interface> interfaces = new ArrayList<>(previous.interfaces());
            interfaces.add(new Result.Interface(ifb.name(), ifb.mac(), 0, ""));
            return previous.withInterfaces(interfaces);
          });
    }
  }

  /** Takes back no qdisc but one that it made itself. */
  private static void shape(Namespace host, int link, Shaper shaper, Rollback rollback)
      throws IOException {
    for (NetlinkMessage request : shaper.requests(link)) {
      host.routing().execute(request);
      rollback.add(() -> removeQdisc(host, link, Tc.handle(1, 0), Tc.ROOT));
    }
  }

  private static Shaper ingress(BandwidthConfig config) {
    return new Shaper(config.ingress().orElseThrow(), config.subnets(), config.shaped(), true);
  }

  private static Shaper egress(BandwidthConfig config) {
    return new Shaper(config.egress().orElseThrow(), config.subnets(), config.shaped(), false);
  }

  private static LimitingIfb ifb(AttachmentRequest request) throws CniException {
    return LimitingIfb.of(request.config().network(), request.attachment().id());
  }

  /** Where the container's veth begins on the host. */
  private static Link hostLink(
      AttachmentRequest request, Result previous, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    Link container = AttachmentCheck.requireInterface(request, sandbox);
    Optional<Link> peer =
        container.isKind("veth") ? host.routing().link(container.peer()) : Optional.empty();
    boolean named =
        peer.isPresent()
            && previous.interfaces().stream()
                .anyMatch(it -> it.onHost() && it.name().equals(peer.get().name()));
    if (!named) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "prevResult names no interface on the host that is the other end of "
              + container.name()
              + ": bandwidth must follow a plugin that makes a veth, such as bridge or ptp");
    }
    return peer.get();
  }

  private static void removeQdisc(Namespace host, int link, int handle, int parent)
      throws IOException {
    host.routing()
        .executeUnless(
            Qdisc.delete(link, handle, parent), Errno.ENODEV, Errno.ENOENT, Errno.EINVAL);
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    BandwidthConfig config = BandwidthConfig.parse(request.config());
    Result previous = request.requirePrevResult();
    try (Namespace host = Namespace.ofHost(request.context());
        Namespace sandbox = Namespace.ofContainer(request, host)) {
      if (config.isEmpty()) {
        return;
      }
      Link port = hostLink(request, previous, host, sandbox);
      if (config.ingress().isPresent()) {
        ingress(config).check(host.routing(), port);
      }
      if (config.egress().isPresent()) {
        checkEgress(host, port, ifb(request), egress(config));
      }
    } catch (IOException e) {
      throw Namespace.failure("checking the limits of " + request.attachment().interfaceName(), e);
    }
  }

  private static void checkEgress(Namespace host, Link port, LimitingIfb limiting, Shaper shaper)
      throws CniException, IOException {
    Optional<Link> ifb = limiting.find(host);
    if (ifb.isEmpty() || !ifb.get().isUp()) {
      throw AttachmentCheck.differs(
          "interface %s, which limits what the container sends, is %s"
              .formatted(limiting.name(), ifb.isEmpty() ? "missing" : "down"));
    }
    boolean redirected =
        TcFilter.list(host.routing(), port.index(), Tc.INGRESS_HANDLE).stream()
            .anyMatch(filter -> filter.redirect() == ifb.get().index());
    if (!redirected) {
      throw AttachmentCheck.differs(
          "no filter sends what comes in by %s through %s"
              .formatted(port.name(), ifb.get().name()));
    }
    shaper.check(host.routing(), ifb.get());
  }

  /** {@inheritDoc} The queues of the veth are removed even though they would go with it. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (Namespace host = Namespace.ofHost(request.context())) {
      ifb(request).delete(host);
      removeQueues(request, host);
    } catch (IOException e) {
      throw Namespace.failure("removing the limits of " + request.attachment().interfaceName(), e);
    }
  }

  /** Those that the configuration has ADD make at the host's end of the veth, if it is there. */
  private static void removeQueues(AttachmentRequest request, Namespace host)
      throws CniException, IOException {
    BandwidthConfig config;
    try {
      config = BandwidthConfig.parse(request.config());
    } catch (CniException e) {
      LOG.log(System.Logger.Level.DEBUG, "with this nothing can have been limited", e);
      return;
    }
    Optional<Namespace> open = Namespace.ofContainerIfPresent(request, host);
    if (open.isPresent()) {
      try (Namespace sandbox = open.get()) {
        Optional<Link> port = hostEnd(request, host, sandbox);
        if (port.isPresent() && config.ingress().isPresent()) {
          removeQdisc(host, port.get().index(), Tc.handle(1, 0), Tc.ROOT);
        }
        if (port.isPresent() && config.egress().isPresent()) {
          removeQdisc(host, port.get().index(), Tc.INGRESS_HANDLE, Tc.INGRESS);
        }
      }
    }
  }

  private static Optional<Link> hostEnd(
      AttachmentRequest request, Namespace host, Namespace sandbox) throws IOException {
    Optional<Link> container = sandbox.routing().link(request.attachment().interfaceName());
    return container.isPresent()
        ? host.routing()
            .nearEnds(List.of(new Rtnetlink.FarEnd(sandbox.netns(), container.get())))
            .getFirst()
        : Optional.empty();
  }

  @Override
  public void collect(CollectRequest request) throws CniException {
    try (Namespace host = Namespace.ofHost(request.context())) {
      LimitingIfb.collect(host, request.config().network(), request.valid());
    } catch (IOException e) {
      throw Namespace.failure("removing stale limits", e);
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    BandwidthConfig.parse(request.config());
  }
}
