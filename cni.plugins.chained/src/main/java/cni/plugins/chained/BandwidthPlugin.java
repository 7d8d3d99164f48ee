package cni.plugins.chained;

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
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkMessage;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.NewLink;
import cni.netlink.ffm.tc.Qdisc;
import cni.netlink.ffm.tc.Tc;
import cni.netlink.ffm.tc.TcFilter;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.Namespace;
import cni.sandbox.RuleOwner;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Slows the container down: what it receives where its veth begins on the host, and what it sends
 * on an ifb that this goes through first. Names and layout are the reference plugin's.
 */
public final class BandwidthPlugin implements NetworkPlugin {
  private static final String IFB_PREFIX = "bwp";
  private static final int IFB_NAME = 15;
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
      try {
        Link port = hostLink(request, previous, host, sandbox);
        rollback.add(() -> deleteIfb(host, request));
        Result result = previous;
        List<NetlinkMessage> requests = new ArrayList<>();
        if (config.ingress().isPresent()) {
          rollback.add(() -> removeQdisc(host, port, Tc.handle(1, 0), Tc.ROOT));
          requests.addAll(ingress(config).requests(port.index()));
        }
        if (config.egress().isPresent()) {
          Link ifb = createIfb(host, request, port.mtu(), egress(config).queueLength());
          rollback.add(() -> removeQdisc(host, port, Tc.INGRESS_HANDLE, Tc.INGRESS));
          requests.add(Qdisc.add(port.index(), "ingress", Tc.INGRESS_HANDLE, Tc.INGRESS));
          requests.add(TcFilter.redirectIncoming(port.index(), FILTER_PRIORITY, ifb.index()));
          requests.addAll(egress(config).requests(ifb.index()));
          requests.add(LinkRequests.setAlias(ifb.index(), owner(request)));
          List<Result.Interface> interfaces = new ArrayList<>(previous.interfaces());
          interfaces.add(new Result.Interface(ifb.name(), ifb.mac(), 0, ""));
          result = previous.withInterfaces(interfaces);
        }
        host.routing().execute(requests);
        return result;
      } catch (IOException e) {
        throw rollback.after(
            Namespace.failure("limiting " + request.attachment().interfaceName(), e));
      } catch (CniException | RuntimeException | Error e) {
        rollback.after(e);
        throw e;
      }
    }
  }

  private static Shaper ingress(BandwidthConfig config) {
    return new Shaper(config.ingress().orElseThrow(), config.subnets(), config.shaped(), true);
  }

  private static Shaper egress(BandwidthConfig config) {
    return new Shaper(config.egress().orElseThrow(), config.subnets(), config.shaped(), false);
  }

  /** Where the container's veth begins on the host. */
  private static Link hostLink(
      AttachmentRequest request, Result previous, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    Optional<Link> container = sandbox.routing().link(name);
    if (container.isEmpty()) {
      throw AttachmentCheck.differs(
          "interface " + name + " is missing from " + request.attachment().sandbox());
    }
    Optional<Link> peer =
        container.get().isKind("veth")
            ? host.routing().link(container.get().peer())
            : Optional.empty();
    boolean named =
        peer.isPresent()
            && previous.interfaces().stream()
                .anyMatch(it -> it.onHost() && it.name().equals(peer.get().name()));
    if (!named) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "prevResult names no interface on the host that is the other end of "
              + name
              + ": bandwidth must follow a plugin that makes a veth, such as bridge or ptp");
    }
    return peer.get();
  }

  private static Link createIfb(Namespace host, AttachmentRequest request, int mtu, int queueLength)
      throws CniException, IOException {
    String name = ifbName(request);
    NetlinkMessage create =
        NewLink.of("ifb", name).mtu(mtu).txQueueLength(queueLength).up().request();
    try {
      host.routing().execute(create);
    } catch (NetlinkException e) {
      if (!e.is(Errno.EEXIST)) {
        throw e;
      }
      deleteIfb(host, request); // an ADD that was killed has left it
      host.routing().execute(create);
    }
    return host.routing().links(name).getFirst();
  }

  private static String ifbName(AttachmentRequest request) throws CniException {
    String text = request.config().network() + request.attachment().containerId();
    return RuleOwner.hashed(IFB_NAME, IFB_PREFIX, text);
  }

  private static String owner(AttachmentRequest request) throws CniException {
    return RuleOwner.of(request.config().network(), request.attachment().id());
  }

  private static void removeQdisc(Namespace host, Link link, int handle, int parent)
      throws IOException {
    try {
      host.routing().execute(Qdisc.delete(link.index(), handle, parent));
    } catch (NetlinkException e) {
      boolean gone = e.is(Errno.ENODEV) || e.is(Errno.ENOENT) || e.is(Errno.EINVAL);
      if (!gone) {
        throw e;
      }
    }
  }

  private static void deleteIfb(Namespace host, AttachmentRequest request)
      throws CniException, IOException {
    deleteLink(host, LinkRequests.delete(ifbName(request)));
  }

  private static void deleteLink(Namespace host, NetlinkMessage deletion) throws IOException {
    try {
      host.routing().execute(deletion);
    } catch (NetlinkException e) {
      if (!e.is(Errno.ENODEV)) {
        throw e;
      }
    }
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    BandwidthConfig config = BandwidthConfig.parse(request.config());
    Result previous = AttachmentCheck.requirePrevResult(request);
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
        checkEgress(host, port, ifbName(request), egress(config));
      }
    } catch (IOException e) {
      throw Namespace.failure("checking the limits of " + request.attachment().interfaceName(), e);
    }
  }

  private static void checkEgress(Namespace host, Link port, String ifbName, Shaper shaper)
      throws CniException, IOException {
    Optional<Link> ifb = host.routing().link(ifbName);
    if (ifb.isEmpty() || !ifb.get().isUp()) {
      throw AttachmentCheck.differs(
          "interface %s, which limits what the container sends, is %s"
              .formatted(ifbName, ifb.isEmpty() ? "missing" : "down"));
    }
    boolean redirected =
        TcFilter.list(host.routing(), port.index(), Tc.INGRESS_HANDLE).stream()
            .anyMatch(filter -> filter.redirect() == ifb.get().index());
    if (!redirected) {
      throw AttachmentCheck.differs(
          "no filter sends what comes in by %s through %s".formatted(port.name(), ifbName));
    }
    shaper.check(host.routing(), ifb.get());
  }

  /** {@inheritDoc} What is on the veth goes with it. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (Namespace host = Namespace.ofHost(request.context())) {
      deleteIfb(host, request);
    } catch (IOException e) {
      throw Namespace.failure("removing the limits of " + request.attachment().interfaceName(), e);
    }
  }

  @Override
  public void collect(CollectRequest request) throws CniException {
    Predicate<String> stale = RuleOwner.stale(request.config().network(), request.valid());
    try (Namespace host = Namespace.ofHost(request.context())) {
      for (Link link : host.routing().links()) {
        if (link.isKind("ifb") && link.name().startsWith(IFB_PREFIX) && stale.test(link.alias())) {
          deleteLink(host, LinkRequests.delete(link.index()));
        }
      }
    } catch (IOException e) {
      throw Namespace.failure("removing stale limits", e);
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    BandwidthConfig.parse(request.config());
  }
}
