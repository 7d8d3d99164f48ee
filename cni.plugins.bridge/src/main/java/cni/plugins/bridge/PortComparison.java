// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import cni.api.CniException;
import cni.api.Differences;
import cni.api.Differences.Kind;
import cni.api.Result;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.BridgeVlan;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import cni.plugins.support.LinkComparison;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Comparison of the attachment's port of the bridge: its link, its modes and its VLANs. */
final class PortComparison {
  private final NetNsSession host;
  private final BridgeConfig current;
  private final BridgeConfig desired;
  private final Differences differences;
  private final LinkComparison links;

  PortComparison(
      NetNsSession host, BridgeConfig current, BridgeConfig desired, Differences differences) {
    this.host = host;
    this.current = current;
    this.desired = desired;
    this.differences = differences.of(Kind.LINK_SETTING);
    this.links = LinkComparison.onHost(host, differences);
  }

  /** Finds the interface of an earlier plugin. */
  Optional<Link> findAdopted(Result.Interface expected) throws CniException {
    return links.find(expected);
  }

  /** Finds the veth's host end, by its peer, among the interfaces of the result on the host. */
  Optional<Link> findPeer(Result result, Link containerEnd) throws CniException {
    for (Result.Interface expected : result.interfaces()) {
      if (!expected.isOnHost() || expected.name().equals(desired.bridge())) {
        continue;
      }
      Optional<Link> end = links.find(expected);
      if (end.isPresent()
          && end.get().isKind("veth")
          && end.get().index() == containerEnd.linkedIndex()) {
        return requirePeer(end.get(), containerEnd);
      }
    }
    differences
        .of(Kind.INTERFACE)
        .addUnchangeable(
            "the peer of %s in the container is interface %d of the host, which prevResult does not name"
                .formatted(containerEnd.name(), containerEnd.linkedIndex()));
    return Optional.empty();
  }

  private Optional<Link> requirePeer(Link end, Link containerEnd) {
    if (end.linkedIndex() == containerEnd.index()) {
      return Optional.of(end);
    }
    differences
        .of(Kind.INTERFACE)
        .addUnchangeable(
            "the peer of %s is interface %d, expected %d, which is %s in the container"
                .formatted(
                    end.name(), end.linkedIndex(), containerEnd.index(), containerEnd.name()));
    return Optional.empty();
  }

  /**
   * Compares the port.
   *
   * @param bridge the bridge; empty if it is missing and will be created before
   */
  void compare(Link port, Optional<Link> bridge) throws CniException {
    links.compareUp(port);
    if (bridge.isPresent() && port.master() == bridge.get().index()) {
      compareModes(port);
      compareVlans(port);
    } else {
      addConnection(port, bridge.isPresent() ? differences : withoutBridge(), desired);
    }
  }

  /** Adds the change that makes a link a port of the bridge again, with all settings. */
  void addConnection(Link port, BridgeConfig config) {
    addConnection(port, differences, config);
  }

  private Differences withoutBridge() {
    return differences.following(links.missing(desired.bridge()));
  }

  private void addConnection(Link port, Differences found, BridgeConfig config) {
    found
        .of(Kind.MASTER)
        .add(
            port.master() == 0
                ? "interface %s is not a port of bridge %s".formatted(port.name(), config.bridge())
                : "interface %s is a port of interface %d, expected bridge %s"
                    .formatted(port.name(), port.master(), config.bridge()),
            "make " + port.name() + " a port of bridge " + config.bridge(),
            () -> connect(port, config),
            () -> host.rtnetlink().execute(LinkRequests.setMaster(port.index(), port.master())));
  }

  private void connect(Link port, BridgeConfig config) throws IOException {
    RouteSocket rtnetlink = host.rtnetlink();
    int bridge = rtnetlink.links(config.bridge()).getFirst().index(); // it may be new
    rtnetlink.execute(LinkRequests.setMaster(port.index(), bridge));
    try {
      BridgePort.configure(rtnetlink, port.name(), config);
    } catch (IOException e) {
      rtnetlink.execute(LinkRequests.setMaster(port.index(), port.master()));
      throw e;
    }
  }

  /**
   * Compares hairpin mode and isolation. Others, such as portmap, may enable hairpin mode: it is
   * disabled only if the configuration enabled it before.
   */
  private void compareModes(Link port) {
    Link.PortModes modes = port.portModes();
    boolean hairpin = mode(modes.hairpin(), current.hairpinMode(), desired.hairpinMode());
    boolean isolated = mode(modes.isolated(), current.portIsolation(), desired.portIsolation());
    if (hairpin != modes.hairpin() || isolated != modes.isolated()) {
      String wanted = "hairpin mode %s and isolation %s".formatted(onOff(hairpin), onOff(isolated));
      links.change(
          "port %s has hairpin mode %s and isolation %s, expected %s"
              .formatted(port.name(), onOff(modes.hairpin()), onOff(modes.isolated()), wanted),
          "set %s of port %s".formatted(wanted, port.name()),
          LinkRequests.setBridgePort(port.index(), hairpin, isolated),
          LinkRequests.setBridgePort(port.index(), modes.hairpin(), modes.isolated()));
    }
  }

  private static boolean mode(boolean actual, boolean before, boolean wanted) {
    return wanted || (actual && !before);
  }

  private static String onOff(boolean on) {
    return on ? "on" : "off";
  }

  /** Compares the VLANs of a port. VLANs that no configuration has named stay. */
  private void compareVlans(Link port) throws CniException {
    BridgeConfig.PortVlans wanted = desired.vlans();
    BridgeConfig.PortVlans before = current.vlans();
    if (wanted.isFiltering() || before.isFiltering()) {
      Set<Integer> known = new TreeSet<>(byId(before.ofNewPort()).keySet());
      known.add(BridgeConfig.DEFAULT_VLAN);
      compareVlans(port, byId(wanted.ofNewPort()), known);
    }
  }

  /**
   * Compares the VLAN of the port of the host's own interface in it. Whether it is in VLAN 1 too
   * depends on {@code preserveDefaultVlan} of the attachment that created it.
   */
  void compareGatewayVlan(Link port, int vlan) throws CniException {
    compareVlans(port, byId(List.of(new BridgeVlan(vlan, true, true))), Set.of());
  }

  /**
   * Compares the VLANs of a port.
   *
   * @param expected the VLANs by their ids
   * @param known the VLANs that are removed unless they are expected
   */
  private void compareVlans(Link port, Map<Integer, BridgeVlan> expected, Set<Integer> known)
      throws CniException {
    Map<Integer, BridgeVlan> actual = byId(listVlans(port));
    List<BridgeVlan> added = new ArrayList<>(expected.values());
    added.removeAll(actual.values());
    List<BridgeVlan> deleted =
        actual.values().stream()
            .filter(it -> known.contains(it.id()) && !expected.containsKey(it.id()))
            .toList();
    if (!added.isEmpty() || !deleted.isEmpty()) {
      List<BridgeVlan> replaced =
          actual.values().stream().filter(it -> !expected.containsValue(it)).toList();
      List<BridgeVlan> isNew = added.stream().filter(it -> !actual.containsKey(it.id())).toList();
      differences.add(
          "port %s is in VLANs %s, expected %s"
              .formatted(port.name(), describe(actual), describe(expected)),
          "set the VLANs of port " + port.name(),
          () -> replaceVlans(port, added, deleted, replaced, isNew),
          () -> setVlans(port, replaced, isNew));
    }
  }

  private List<BridgeVlan> listVlans(Link port) throws CniException {
    try {
      return host.rtnetlink().bridgeVlans(port.index());
    } catch (IOException e) {
      throw NetNsSession.failure("listing the VLANs of port " + port.name(), e);
    }
  }

  private static Map<Integer, BridgeVlan> byId(List<BridgeVlan> vlans) {
    return vlans.stream()
        .collect(
            Collectors.toMap(
                BridgeVlan::id, Function.identity(), (first, second) -> second, TreeMap::new));
  }

  /** Adds and deletes VLANs; if the kernel refuses one, it gets those that it had. */
  private void replaceVlans(
      Link port,
      List<BridgeVlan> added,
      List<BridgeVlan> deleted,
      List<BridgeVlan> before,
      List<BridgeVlan> isNew)
      throws IOException {
    try {
      setVlans(port, added, deleted);
    } catch (IOException e) {
      try {
        setVlans(port, before, isNew);
      } catch (IOException again) {
        e.addSuppressed(again);
      }
      throw e;
    }
  }

  /**
   * Adds VLANs, then deletes others, in one send. The VLAN of untagged packets comes first: the
   * kernel replaces the one before with it (__vlan_add_pvid in net/bridge/br_vlan.c), and there is
   * no moment without one, in which the bridge would drop them.
   */
  private void setVlans(Link port, List<BridgeVlan> added, List<BridgeVlan> deleted)
      throws IOException {
    List<NetlinkRequest> requests = new ArrayList<>();
    Stream.concat(added.stream().filter(BridgeVlan::pvid), added.stream().filter(it -> !it.pvid()))
        .forEach(vlan -> requests.add(LinkRequests.addVlan(port.index(), vlan)));
    deleted.forEach(vlan -> requests.add(LinkRequests.deleteVlan(port.index(), vlan.id())));
    host.rtnetlink().execute(requests);
  }

  private static String describe(Map<Integer, BridgeVlan> vlans) {
    return vlans.values().stream()
        .map(it -> it.id() + (it.pvid() ? " (PVID)" : ""))
        .collect(Collectors.joining(", ", "[", "]"));
  }
}
