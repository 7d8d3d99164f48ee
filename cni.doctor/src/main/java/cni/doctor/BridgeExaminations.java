// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.internal.BridgeName;
import cni.netlink.ffm.route.Link;
import cni.runtime.Network;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** Examines bridges and their ports. */
final class BridgeExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.BRIDGE_MISSING, BridgeExaminations::missing),
          new Examination(FindingKind.BRIDGE_DOWN, BridgeExaminations::down),
          new Examination(FindingKind.BRIDGE_MTU_SMALL, BridgeExaminations::smallMtu),
          new Examination(FindingKind.BRIDGE_WITHOUT_ADDRESS, BridgeExaminations::withoutAddress),
          new Examination(FindingKind.INTERFACE_DOWN, BridgeExaminations::interfaceDown),
          new Examination(FindingKind.PORT_DETACHED, BridgeExaminations::portDetached),
          new Examination(FindingKind.MAC_DUPLICATE, BridgeExaminations::duplicateMac),
          new Examination(FindingKind.MTU_ABOVE_BRIDGE, BridgeExaminations::mtuAboveBridge),
          new Examination(FindingKind.BRIDGE_MAC_BORROWED, BridgeExaminations::borrowedMac));

  /** IPV6_MIN_MTU of linux/ipv6.h. */
  private static final int IPV6_MIN_MTU = 1280;

  /** ETH_DATA_LEN of linux/if_ether.h: the MTU of a veth device that was never set. */
  private static final int ETH_DATA_LEN = 1500;

  private BridgeExaminations() {}

  /** Returns the name of the bridge that a plugin of type bridge uses. */
  static String bridgeName(PluginConfig plugin) throws CniException {
    return BridgeName.of(plugin.view());
  }

  /** Returns whether the bridge has the addresses of the networks' gateways. */
  static boolean isGateway(PluginConfig plugin) throws CniException {
    return plugin.view().bool("isGateway") || plugin.view().bool("isDefaultGateway");
  }

  /** Returns the bridges of the networks that exist, each with the networks that use it. */
  static Map<Link, Set<String>> bridges(HostView host) throws IOException, CniException {
    Map<Link, Set<String>> bridges = new HashMap<>();
    for (Network network : host.networks()) {
      Optional<PluginConfig> plugin = HostView.plugin(network, "bridge");
      if (plugin.isPresent()) {
        host.kernel()
            .link(bridgeName(plugin.get()))
            .filter(it -> it.isKind("bridge"))
            .ifPresent(
                it -> bridges.computeIfAbsent(it, _ -> new LinkedHashSet<>()).add(network.name()));
      }
    }
    return bridges;
  }

  /** Without attachments a bridge need not exist: ADD makes it. */
  private static void missing(HostView host, Findings findings) throws IOException, CniException {
    Map<String, Set<String>> networks = new LinkedHashMap<>();
    for (AttachmentView attachment : host.present()) {
      Optional<PluginConfig> plugin = attachment.plugin("bridge");
      if (plugin.isPresent()
          && attachment.hostLink().isPresent()
          && host.kernel().link(bridgeName(plugin.get())).isEmpty()) {
        networks
            .computeIfAbsent(bridgeName(plugin.get()), _ -> new LinkedHashSet<>())
            .add(attachment.network());
      }
    }
    networks.forEach(
        (bridge, all) ->
            findings.ofNetworks(
                List.copyOf(all),
                "the bridge does not exist any more: its containers reach nothing",
                "ip link: no " + bridge,
                repairCommand(all)));
  }

  private static String repairCommand(Set<String> networks) {
    return networks.stream().map(it -> "cni repair " + it).collect(Collectors.joining("; "));
  }

  private static void down(HostView host, Findings findings) throws IOException, CniException {
    for (var it : bridges(host).entrySet()) {
      if (!it.getKey().isUp()) {
        findings.ofNetworks(
            List.copyOf(it.getValue()),
            "the bridge is down: its containers reach nothing",
            "ip link show %s: state DOWN".formatted(it.getKey().name()),
            "ip link set %s up; %s".formatted(it.getKey().name(), repairCommand(it.getValue())));
      }
    }
  }

  /** Below IPV6_MIN_MTU, 1280, the kernel removes IPv6 and its addresses from a link. */
  private static void smallMtu(HostView host, Findings findings) throws IOException, CniException {
    Map<Link, Set<String>> networks = new LinkedHashMap<>();
    Map<Link, Integer> wanted = new HashMap<>();
    for (AttachmentView attachment : host.present()) {
      Optional<Link> bridge = attachment.bridge().filter(it -> it.mtu() < IPV6_MIN_MTU);
      boolean hasIpv6 =
          attachment.ips().stream()
              .flatMap(it -> it.gateway().stream())
              .anyMatch(it -> !InetAddresses.isV4(it));
      if (bridge.isPresent() && hasIpv6) {
        networks
            .computeIfAbsent(bridge.get(), _ -> new LinkedHashSet<>())
            .add(attachment.network());
        wanted.merge(bridge.get(), attachment.link().orElseThrow().mtu(), Math::max);
      }
    }
    networks.forEach(
        (bridge, all) ->
            findings.ofNetworks(
                List.copyOf(all),
                "the MTU of the bridge is too small for IPv6: the kernel has removed its addresses",
                "ip link show %s: mtu %d, below %d"
                    .formatted(bridge.name(), bridge.mtu(), IPV6_MIN_MTU),
                "ip link set %s mtu %d; %s"
                    .formatted(
                        bridge.name(),
                        Math.max(wanted.getOrDefault(bridge, 0), IPV6_MIN_MTU),
                        repairCommand(all))));
  }

  private static void withoutAddress(HostView host, Findings findings)
      throws IOException, CniException {
    Set<String> reported = new LinkedHashSet<>();
    for (AttachmentView attachment : host.present()) {
      Optional<PluginConfig> plugin = attachment.plugin("bridge");
      Optional<Link> bridge = attachment.bridge();
      if (plugin.isEmpty()
          || bridge.filter(Link::isUp).isEmpty() // with which IPv6 addresses go, too
          || !isGateway(plugin.get())) {
        continue;
      }
      for (Result.IpConfig ip : attachment.ips()) {
        Optional<InetAddress> gateway = ip.gateway();
        if (gateway.isPresent()
            && !hasAddress(host, bridge.get(), gateway.get())
            && (InetAddresses.isV4(gateway.get()) || bridge.get().mtu() >= IPV6_MIN_MTU)
            && findings.includes(attachment)
            && reported.add(bridge.get().name() + gateway.get())) {
          String address = InetAddresses.format(gateway.get());
          findings.ofNetwork(
              attachment.network(),
              "the bridge does not have the address that is its containers' gateway",
              "ip address show %s: no %s".formatted(bridge.get().name(), address),
              "cni repair " + attachment.network());
        }
      }
    }
  }

  private static boolean hasAddress(HostView host, Link link, InetAddress address)
      throws IOException, CniException {
    return host.kernel().addresses().stream()
        .anyMatch(it -> it.link() == link.index() && it.address().equals(address));
  }

  private static void interfaceDown(HostView host, Findings findings)
      throws IOException, CniException {
    for (AttachmentView attachment : host.present()) {
      Optional<Link> inside = attachment.link().filter(it -> !it.isUp());
      Optional<Link> outside = attachment.hostLink().filter(it -> !it.isUp());
      if (inside.isPresent() || outside.isPresent()) {
        String name = inside.or(() -> outside).orElseThrow().name();
        findings.ofAttachment(
            attachment,
            "an interface of the attachment is down",
            inside.isPresent()
                ? attachment.ip("link show %s: state DOWN".formatted(name))
                : "ip link show %s: state DOWN".formatted(name),
            "cni repair " + attachment.arguments());
      }
    }
  }

  private static void portDetached(HostView host, Findings findings)
      throws IOException, CniException {
    for (AttachmentView attachment : host.present()) {
      Optional<PluginConfig> plugin = attachment.plugin("bridge");
      Optional<Link> port = attachment.hostLink();
      if (plugin.isEmpty() || port.isEmpty()) {
        continue;
      }
      String expected = bridgeName(plugin.get());
      if (host.kernel().link(expected).isEmpty()) {
        continue; // found as BRIDGE_MISSING
      }
      String actual = host.kernel().link(port.get().master()).map(Link::name).orElse("none");
      if (!actual.equals(expected)) {
        findings.ofAttachment(
            attachment,
            "the container is not connected to the bridge",
            "ip link show %s: master %s instead of %s"
                .formatted(port.get().name(), actual, expected),
            "cni repair " + attachment.arguments());
      }
    }
  }

  private static void duplicateMac(HostView host, Findings findings)
      throws IOException, CniException {
    Map<String, AttachmentView> owners = new HashMap<>();
    for (AttachmentView attachment : host.present()) {
      Optional<Link> bridge = attachment.bridge();
      if (bridge.isEmpty()) {
        continue;
      }
      String mac = attachment.link().orElseThrow().mac();
      AttachmentView other = owners.putIfAbsent(bridge.get().name() + " " + mac, attachment);
      boolean ofBridge = bridge.get().mac().equals(mac);
      if (other != null || ofBridge) {
        String owner = other == null ? "the bridge itself" : other.label();
        findings.ofAttachment(
            attachment,
            "two stations of a bridge have the same hardware address: frames reach only one",
            "%s is the address of %s and of %s on %s"
                .formatted(mac, owner, attachment.label(), bridge.get().name()),
            RemedyText.commented(
                "cni update %s --args MAC=%s"
                    .formatted(attachment.arguments(), freeMac(attachment)),
                "or detach and attach the container again"));
      }
    }
  }

  /** Returns a locally administered address that follows from the container's id. */
  private static String freeMac(AttachmentView attachment) {
    String id = "%08x".formatted(attachment.label().hashCode());
    return "02:c0" + id.replaceAll("(..)", ":$1");
  }

  private static void mtuAboveBridge(HostView host, Findings findings)
      throws IOException, CniException {
    // A bridge whose MTU was never set takes the smallest of its ports (br_mtu_auto_adjust).
    Map<Integer, Integer> smallestPort = new HashMap<>();
    for (Link port : host.kernel().links()) {
      if (port.master() != 0) {
        smallestPort.merge(port.master(), port.mtu(), Math::min);
      }
    }
    for (AttachmentView attachment : host.present()) {
      Link inside = attachment.link().orElseThrow();
      Optional<Link> port = attachment.hostLink().filter(it -> it.mtu() < inside.mtu());
      Optional<Link> bridge =
          attachment
              .bridge()
              .filter(
                  it ->
                      it.mtu() < inside.mtu()
                          && it.mtu() != smallestPort.getOrDefault(it.index(), 0));
      Optional<Link> smallest = port.or(() -> bridge);
      if (smallest.isPresent()) {
        findings.ofAttachment(
            attachment,
            "larger packets of the container are dropped without notice: the MTU of %s is too small"
                .formatted(smallest.get().name()),
            "mtu %d of %s in the container, mtu %d of %s on the host"
                .formatted(
                    inside.mtu(), inside.name(), smallest.get().mtu(), smallest.get().name()),
            matchMtu(attachment, inside, smallest.get()));
      }
    }
  }

  /**
   * Returns the command that gives both ends one MTU: the container's is lowered if it is larger
   * than ADD has set it.
   */
  private static String matchMtu(AttachmentView attachment, Link inside, Link outside) {
    Optional<PluginConfig> plugin = attachment.plugin("bridge");
    int configured = plugin.isPresent() ? plugin.get().json().path("mtu").asInt(0) : 0;
    Optional<Path> namespace = attachment.attachment().namespace();
    boolean isRaised = inside.mtu() > (configured > 0 ? configured : ETH_DATA_LEN);
    return isRaised && namespace.isPresent()
        ? IpCommand.in(
            namespace.get(), "link set %s mtu %d".formatted(inside.name(), outside.mtu()))
        : "ip link set %s mtu %d".formatted(outside.name(), inside.mtu());
  }

  /** Returns whether containers send to the bridge itself. */
  private static boolean isGateway(HostView host, Link bridge) throws IOException, CniException {
    for (Network network : host.networks()) {
      Optional<PluginConfig> plugin = HostView.plugin(network, "bridge");
      if (plugin.isPresent()
          && bridgeName(plugin.get()).equals(bridge.name())
          && isGateway(plugin.get())) {
        return true;
      }
    }
    return host.kernel().addresses().stream()
        .anyMatch(it -> it.link() == bridge.index() && !it.address().isLinkLocalAddress());
  }

  /**
   * A bridge whose address was never set takes the lowest one of its ports
   * (br_stp_recalculate_bridge_id), and another one when that port goes.
   */
  private static void borrowedMac(HostView host, Findings findings)
      throws IOException, CniException {
    for (var it : bridges(host).entrySet()) {
      Link bridge = it.getKey();
      boolean isGateway = isGateway(host, bridge);
      for (Link port : host.kernel().links()) {
        if (isGateway
            && port.master() == bridge.index()
            && port.isKind("veth")
            && port.mac().equals(bridge.mac())) {
          findings.ofNetworks(
              List.copyOf(it.getValue()),
              "the bridge's hardware address is that of a port, and changes when that goes:"
                  + " containers then do not reach their gateway until ARP expires",
              "%s and its port %s have %s".formatted(bridge.name(), port.name(), bridge.mac()),
              "ip link set %s address %s".formatted(bridge.name(), bridge.mac()));
        }
      }
    }
  }
}
