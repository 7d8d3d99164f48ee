// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

import cni.api.CniException;
import cni.api.Differences;
import cni.api.Result;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkUpdate;
import cni.netlink.ffm.route.Mac;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.tc.Qdisc;
import cni.netlink.ffm.tc.TcConstants;
import cni.netlink.ffm.tc.TcFilter;
import cni.plugins.support.LinkComparison;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Compares how the container's egress is limited with what is desired: the IFB device, its qdisc,
 * and the filter that redirects the veth's ingress to it. The device is complete before packets are
 * redirected to it, and deleted after the last of them has left it.
 *
 * @param host stays open until the changes have been made
 * @param veth the host's end of the container's veth
 */
record EgressComparison(NetNsSession host, Link veth, ShapingIfb ifb, Differences differences) {
  private static final String QDISC = "ingress";

  /**
   * Adds the differences between the kernel and a limit.
   *
   * @param current the shaper before
   * @param reported the device in the result, if it has one
   * @param mtu the MTU of the veth in the result, 0 if not known
   * @return the device of the desired result
   */
  Result.Interface compare(
      Optional<TrafficShaper> current,
      TrafficShaper desired,
      Optional<Result.Interface> reported,
      int mtu)
      throws CniException, IOException {
    RouteSocket routing = host.rtnetlink();
    Optional<Link> found = ifb.find(host);
    Result.Interface device =
        found.isPresent()
            ? new Result.Interface(found.get().name(), found.get().mac(), 0, "")
            : newDevice(reported);
    if (found.isPresent()) {
      compareLink(found.get(), mtu);
      new ShaperComparison(routing, found.get(), differences)
          .compare(Qdisc.list(routing, found.get().index()), current, Optional.of(desired));
    } else {
      create(device, desired, mtu == 0 ? veth.mtu() : mtu);
    }
    compareRedirect(device.name(), found);
    return reported.filter(it -> it.name().equals(device.name())).orElse(device);
  }

  /** The name and the hardware address that the result has stay if possible. */
  private Result.Interface newDevice(Optional<Result.Interface> reported)
      throws CniException, IOException {
    String mac = reported.map(Result.Interface::mac).orElse("");
    String name = ifb.freeName(host);
    return new Result.Interface(name, mac.isEmpty() ? Mac.format(Mac.random()) : mac, 0, "");
  }

  private void create(Result.Interface device, TrafficShaper desired, int mtu) {
    differences
        .of(Differences.Kind.INTERFACE)
        .add(
            "interface %s, which limits the container's egress, is missing"
                .formatted(device.name()),
            "create interface %s, which limits what %s receives to %s"
                .formatted(device.name(), veth.name(), desired.describe()),
            () -> create(device, desired.tree(), mtu, desired.queueLength()),
            () -> ifb.delete(host));
  }

  private void create(Result.Interface device, QdiscTree shaping, int mtu, int queueLength)
      throws IOException {
    try {
      Link created = ifb.create(host, device, mtu, queueLength);
      shaping.install(host.rtnetlink(), created.index());
    } catch (IOException e) {
      ifb.delete(host);
      throw e;
    }
  }

  private void compareLink(Link found, int mtu) {
    var links = LinkComparison.onHost(host, differences);
    int index = found.index();
    if (!found.isUp()) {
      links.change(
          Differences.Kind.LINK_STATE,
          "interface %s, which limits the container's egress, is down".formatted(found.name()),
          "set interface %s up".formatted(found.name()),
          LinkRequests.setUp(index),
          LinkRequests.setDown(index));
    }
    if (mtu != 0 && found.mtu() != mtu) {
      links.change(
          "MTU of interface %s is %d, expected %d".formatted(found.name(), found.mtu(), mtu),
          "set MTU of interface %s to %d".formatted(found.name(), mtu),
          new LinkUpdate(index).mtu(mtu).request(),
          new LinkUpdate(index).mtu(found.mtu()).request());
    }
  }

  private void compareRedirect(String name, Optional<Link> found) throws IOException {
    List<TcFilter> filters =
        TcFilter.list(host.rtnetlink(), veth.index(), TcConstants.INGRESS_HANDLE);
    if (found.isPresent()
        && filters.stream().anyMatch(it -> it.redirect() == found.get().index())) {
      return;
    }
    Optional<Qdisc> ingress = filters.isEmpty() ? ingressQdisc() : Optional.empty();
    String finding = "no filter redirects the ingress of %s to %s".formatted(veth.name(), name);
    if (ingress.isPresent() && !ingress.get().kind().equals(QDISC)) {
      differences.addUnchangeable("%s: it has qdisc %s".formatted(finding, ingress.get().kind()));
      return;
    }
    if (filters.isEmpty() && ingress.isEmpty()) {
      differences.add(
          finding,
          "add qdisc ingress to %s".formatted(veth.name()),
          this::addIngress,
          this::removeIngress);
    }
    List<TcFilter> stale = filters.stream().filter(EgressComparison::isOurs).toList();
    differences.add(
        finding,
        "redirect the ingress of %s to %s".formatted(veth.name(), name),
        () -> redirect(stale, findIndex()),
        () -> restore(stale));
  }

  private Optional<Qdisc> ingressQdisc() throws IOException {
    return Qdisc.list(host.rtnetlink(), veth.index()).stream()
        .filter(it -> it.parent() == TcConstants.INGRESS)
        .findFirst();
  }

  private void addIngress() throws IOException {
    host.rtnetlink()
        .execute(Qdisc.add(veth.index(), QDISC, TcConstants.INGRESS_HANDLE, TcConstants.INGRESS));
  }

  private void removeIngress() throws IOException {
    host.rtnetlink()
        .execute(Qdisc.delete(veth.index(), TcConstants.INGRESS_HANDLE, TcConstants.INGRESS));
  }

  /** Whether a filter is one that this plugin or the reference plugin has added. */
  private static boolean isOurs(TcFilter filter) {
    return filter.kind().equals("u32")
        && filter.priority() == BandwidthPlugin.FILTER_PRIORITY
        && filter.flow() == TcFilter.REDIRECT_FLOW;
  }

  private int findIndex() throws IOException {
    return ifb.find(host).map(Link::index).orElse(0);
  }

  /**
   * Redirects the veth's ingress to a device. The filters that it replaces are deleted just before:
   * of filters with the same priority the first that matches is used.
   */
  private void redirect(List<TcFilter> replaced, int target) throws IOException {
    List<NetlinkRequest> requests = new ArrayList<>();
    for (TcFilter it : replaced) {
      requests.add(it.deleteRequest(veth.index(), TcConstants.INGRESS_HANDLE));
    }
    requests.add(TcFilter.redirectIngress(veth.index(), BandwidthPlugin.FILTER_PRIORITY, target));
    host.rtnetlink().execute(requests);
  }

  /**
   * Restores the filters that {@link #redirect} has replaced. One whose device no longer exists
   * cannot be added; the present one becomes such a filter when its device is deleted.
   */
  private void restore(List<TcFilter> replaced) throws IOException {
    int parent = TcConstants.INGRESS_HANDLE;
    List<TcFilter> present =
        TcFilter.list(host.rtnetlink(), veth.index(), parent).stream()
            .filter(EgressComparison::isOurs)
            .toList();
    Optional<Integer> target =
        replaced.stream().map(TcFilter::redirect).filter(it -> it != 0).findFirst();
    if (target.isPresent()) {
      redirect(present, target.get());
    } else if (replaced.isEmpty()) {
      stopRedirecting();
    }
  }

  private void stopRedirecting() throws IOException {
    TcFilter.delete(
        host.rtnetlink(), veth.index(), TcConstants.INGRESS_HANDLE, EgressComparison::isOurs);
  }

  /** Adds the differences between the kernel and no limit. */
  void compareUnlimited() throws IOException {
    Optional<Link> found = ifb.find(host);
    List<TcFilter> filters =
        TcFilter.list(host.rtnetlink(), veth.index(), TcConstants.INGRESS_HANDLE);
    List<TcFilter> ours = filters.stream().filter(EgressComparison::isOurs).toList();
    boolean isOurIngress =
        ours.size() == filters.size()
            && ingressQdisc().filter(it -> it.kind().equals(QDISC)).isPresent();
    String finding = "the ingress of %s is still redirected".formatted(veth.name());
    String description = "stop redirecting the ingress of %s".formatted(veth.name());
    if (!ours.isEmpty()) {
      differences.add(finding, description, this::stopRedirecting, () -> startAgain(ours));
    }
    if (isOurIngress) {
      differences.add(
          "interface %s has qdisc ingress, expected none".formatted(veth.name()),
          "delete qdisc ingress of %s".formatted(veth.name()),
          this::removeIngress,
          this::addIngress);
    }
    if (found.isPresent()) {
      delete(found.get());
    }
  }

  private void startAgain(List<TcFilter> filters) throws IOException {
    int target = findIndex();
    if (target != 0 && filters.stream().anyMatch(it -> it.redirect() != 0)) {
      redirect(List.of(), target);
    }
  }

  private void delete(Link found) throws IOException {
    RouteSocket routing = host.rtnetlink();
    Optional<QdiscTree> shaping = Optional.empty();
    for (Qdisc it : Qdisc.list(routing, found.index())) {
      if (it.parent() == TcConstants.ROOT && it.handle() == TrafficShaper.ROOT_HANDLE) {
        shaping = Optional.of(QdiscTree.read(routing, found.index(), it));
      }
    }
    Optional<QdiscTree> installed = shaping;
    differences.add(
        "interface %s exists, although the container's egress is not limited"
            .formatted(found.name()),
        "delete interface %s".formatted(found.name()),
        () -> {
          if (installed.isPresent()) {
            installed.get().drain(host.rtnetlink(), found.index());
          }
          ifb.delete(host);
        },
        () -> createAgain(found, installed));
  }

  private void createAgain(Link before, Optional<QdiscTree> shaping) throws IOException {
    var device = new Result.Interface(before.name(), before.mac(), 0, "");
    Link created = ifb.create(host, device, before.mtu(), before.txQueueLength());
    if (shaping.isPresent()) {
      shaping.get().install(host.rtnetlink(), created.index());
    }
  }
}
