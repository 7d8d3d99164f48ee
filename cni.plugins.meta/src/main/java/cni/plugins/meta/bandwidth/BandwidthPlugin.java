// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
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

/**
 * The bandwidth plugin: limits what the container receives by a qdisc on the host's end of its
 * veth, and what it sends by a qdisc on an IFB device that the veth's ingress is redirected to.
 * Names and layout are those of the reference plugin.
 */
public final class BandwidthPlugin implements UpdatablePlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  static final int FILTER_PRIORITY = 1;

  /** Creates the plugin; called by the ServiceLoader. */
  public BandwidthPlugin() {}

  @Override
  public String type() {
    return "bandwidth";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.CHAINED);
  }

  /**
   * {@inheritDoc} Those whose results have interfaces, 0.3.0 and later, as the reference plugin.
   */
  @Override
  public Set<SpecVersion> versions() {
    return SpecVersion.since(SpecVersion.V0_3_0);
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
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "limiting the bandwidth of " + request.attachment().interfaceName(),
          () -> {
            Link veth =
                requireHostVeth(
                    AttachmentCheck.requireInterface(request, container), previous, host);
            int index = veth.index();
            if (config.ingress().isPresent()) {
              shape(host, index, TrafficShaper.ingress(config).orElseThrow(), rollback);
            }
            if (config.egress().isEmpty()) {
              return previous;
            }
            TrafficShaper egress = TrafficShaper.egress(config).orElseThrow();
            host.rtnetlink()
                .execute(
                    Qdisc.add(index, "ingress", TcConstants.INGRESS_HANDLE, TcConstants.INGRESS));
            rollback.add(
                () -> removeQdisc(host, index, TcConstants.INGRESS_HANDLE, TcConstants.INGRESS));
            // Not earlier: if this fails with EEXIST, the ifb belongs to an earlier ADD and stays.
            Link ifb = ifb(request).create(host, veth.mtu(), egress.queueLength());
            rollback.add(() -> ifb(request).delete(host));
            host.rtnetlink().execute(TcFilter.redirectIngress(index, FILTER_PRIORITY, ifb.index()));
            host.rtnetlink().execute(egress.requests(ifb.index()));
            List<Result.Interface> interfaces = new ArrayList<>(previous.interfaces());
            interfaces.add(new Result.Interface(ifb.name(), ifb.mac(), 0, ""));
            return previous.withInterfaces(interfaces);
          });
    }
  }

  /** Installs a qdisc; the rollback removes it only if it was created here. */
  private static void shape(NetNsSession host, int link, TrafficShaper shaper, Rollback rollback)
      throws IOException {
    for (NetlinkRequest request : shaper.requests(link)) {
      host.rtnetlink().execute(request);
      rollback.add(() -> removeQdisc(host, link, TrafficShaper.ROOT_HANDLE, TcConstants.ROOT));
    }
  }

  private static ShapingIfb ifb(AttachmentRequest request) throws CniException {
    return ShapingIfb.of(request.config().network(), request.attachment().id());
  }

  /** Returns the host's end of the container's veth, which the previous result must name. */
  static Link requireHostVeth(Link containerLink, Result previous, NetNsSession host)
      throws CniException, IOException {
    Optional<Link> peer =
        containerLink.isKind("veth")
            ? host.rtnetlink().link(containerLink.linkedIndex())
            : Optional.empty();
    boolean named =
        peer.isPresent()
            && previous.interfaces().stream()
                .anyMatch(it -> it.isOnHost() && it.name().equals(peer.get().name()));
    if (!named) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "prevResult has no host interface that is the veth peer of "
              + containerLink.name()
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

  /**
   * {@inheritDoc} All of them. Rates, bursts and the lists of subnets are changed in place, without
   * the loss of a packet. Where a qdisc has to be added, removed or replaced, as for a limit that
   * is switched on or off, the kernel drops what is sent meanwhile: it deactivates the link until
   * concurrent transmissions have ended (qdisc_graft in net/sched/sch_api.c), which takes less than
   * 0.1 ms, and some milliseconds on a machine whose processors are overloaded.
   */
  @Override
  public Set<String> changeableKeys() {
    return Set.of(
        "ingressRate",
        "ingressBurst",
        "egressRate",
        "egressBurst",
        "shapedSubnets",
        "unshapedSubnets",
        "runtimeConfig.bandwidth");
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    return BandwidthComparison.compare(request, differences);
  }

  /** {@inheritDoc} The veth's qdiscs are removed as well, in case the veth itself is kept. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      ifb(request).delete(host);
      removeQdiscs(request, host);
    } catch (IOException e) {
      throw NetNsSession.failure(
          "removing the bandwidth limits of " + request.attachment().interfaceName(), e);
    }
  }

  /** Removes the qdiscs that ADD installs on the host's end of the veth with this configuration. */
  private static void removeQdiscs(AttachmentRequest request, NetNsSession host)
      throws CniException, IOException {
    BandwidthConfig config;
    try {
      config = BandwidthConfig.parse(request.config());
    } catch (CniException e) {
      LOG.get()
          .log(System.Logger.Level.DEBUG, "invalid configuration: ADD cannot have set limits", e);
      return;
    }
    NetNsSession.runIfPresent(
        request, host, container -> removeLimits(request, config, host, container));
  }

  private static void removeLimits(
      AttachmentRequest request, BandwidthConfig config, NetNsSession host, NetNsSession container)
      throws IOException {
    Optional<Link> veth = findHostVeth(request, host, container);
    if (veth.isPresent() && config.ingress().isPresent()) {
      removeQdisc(host, veth.get().index(), TrafficShaper.ROOT_HANDLE, TcConstants.ROOT);
    }
    if (veth.isPresent() && config.egress().isPresent()) {
      removeQdisc(host, veth.get().index(), TcConstants.INGRESS_HANDLE, TcConstants.INGRESS);
    }
  }

  /** Finds the host's end of the container's veth. */
  private static Optional<Link> findHostVeth(
      AttachmentRequest request, NetNsSession host, NetNsSession container) throws IOException {
    Optional<Link> containerLink = container.rtnetlink().link(request.attachment().interfaceName());
    return containerLink.isPresent()
        ? host.rtnetlink()
            .hostPeers(List.of(new RouteSocket.VethPeer(container.netns(), containerLink.get())))
            .getFirst()
        : Optional.empty();
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      ShapingIfb.deleteStale(host, request.config().network(), request.valid());
    } catch (IOException e) {
      throw NetNsSession.failure("removing stale bandwidth limits", e);
    }
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    BandwidthConfig.parse(request.config());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    BandwidthConfig.parse(request.config());
  }
}
