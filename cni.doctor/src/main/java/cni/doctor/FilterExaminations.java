// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.api.PortMapping;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.InstalledChain;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.RuleText;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.runtime.Network;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Examines what filters packets of attachments: chains of others, br_netfilter, policies. */
final class FilterExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.FORWARD_DROPPED, FilterExaminations::forwardDropped),
          new Examination(FindingKind.PORTS_DROPPED, FilterExaminations::portsDropped),
          new Examination(FindingKind.BRIDGE_FILTERED, FilterExaminations::bridgeFiltered),
          new Examination(FindingKind.POLICY_BYPASSED, FilterExaminations::policyBypassed),
          new Examination(FindingKind.IPTABLES_MIXED, FilterExaminations::mixedIptables));

  private static final String IPTABLES = "net/bridge/bridge-nf-call-iptables";
  private static final String IP6TABLES = "net/bridge/bridge-nf-call-ip6tables";

  private FilterExaminations() {}

  /**
   * A chain that drops an attachment's packets.
   *
   * @param attachment the first attachment of its network
   * @param address the address
   * @param verdict the chain
   */
  private record Drop(AttachmentView attachment, InetAddress address, ForwardVerdict verdict) {}

  /** Returns the chains that drop packets, each once for a network. */
  private static List<Drop> drops(HostView host, Findings findings)
      throws IOException, CniException {
    List<Drop> drops = new ArrayList<>();
    Set<String> reported = new LinkedHashSet<>();
    for (InstalledChain chain : host.kernel().baseChains()) {
      if (!ForwardVerdict.filtersForwarded(chain)) {
        continue;
      }
      ForwardVerdict verdict = ForwardVerdict.of(chain, host.kernel());
      if (!verdict.dropsByDefault()) {
        continue;
      }
      for (AttachmentView attachment : host.present()) {
        Optional<InetAddress> dropped = dropped(host, attachment, verdict);
        if (dropped.isPresent()
            && findings.includes(attachment)
            && reported.add(chain.chain() + " " + attachment.network())) {
          drops.add(new Drop(attachment, dropped.get(), verdict));
        }
      }
    }
    return drops;
  }

  private static Optional<InetAddress> dropped(
      HostView host, AttachmentView attachment, ForwardVerdict verdict)
      throws IOException, CniException {
    List<String> links = linkNames(attachment);
    List<String> others = outsideLinks(host);
    for (IpFamily family : IpFamily.values()) {
      if (verdict.covers(family)) {
        for (InetAddress address : RoutingExaminations.routedAddresses(host, attachment, family)) {
          var from =
              new ForwardedPackets(address, false, links, others, List.of(), List.of(), false);
          var to = new ForwardedPackets(address, true, others, links, List.of(), List.of(), false);
          if (!verdict.mayAccept(from) && !verdict.mayAccept(to)) {
            return Optional.of(address);
          }
        }
      }
    }
    return Optional.empty();
  }

  /** Returns the names of the host's links that an attachment's packets pass. */
  private static List<String> linkNames(AttachmentView attachment)
      throws IOException, CniException {
    List<String> links = new ArrayList<>();
    attachment.hostLink().map(Link::name).ifPresent(links::add);
    attachment.bridge().map(Link::name).ifPresent(links::add);
    return links;
  }

  /**
   * Returns the names of the links that may lead out of the host: not loopback, the links of
   * attachments, and bridges whose ports are all ends of veth pairs.
   */
  private static List<String> outsideLinks(HostView host) throws IOException, CniException {
    Set<String> inside = new HashSet<>();
    for (AttachmentView attachment : host.present()) {
      inside.addAll(linkNames(attachment));
    }
    List<Link> links = host.kernel().links();
    return links.stream()
        .filter(it -> !it.name().equals("lo"))
        .filter(it -> !inside.contains(it.name()))
        .filter(
            it ->
                !it.isKind("bridge")
                    || links.stream()
                        .anyMatch(port -> port.master() == it.index() && !port.isKind("veth")))
        .map(Link::name)
        .toList();
  }

  private static void forwardDropped(HostView host, Findings findings)
      throws IOException, CniException {
    Set<String> reported = new HashSet<>();
    for (Drop drop : drops(host, findings)) {
      reported.add(drop.attachment().network());
      findings.ofNetwork(
          drop.attachment().network(),
          "a firewall drops what the host forwards for containers: chain "
              + drop.verdict().chain().chain(),
          "%s, and no rule accepts %s of %s"
              .formatted(
                  drop.verdict().evidence(),
                  InetAddresses.format(drop.address()),
                  drop.attachment().label()),
          drop.attachment().plugin("firewall").isPresent()
              ? "cni repair " + drop.attachment().network()
              : "add the plugin firewall to the network, or accept its bridge in that chain");
    }
    for (InstalledChain chain : host.kernel().baseChains()) {
      if (ForwardVerdict.filtersForwarded(chain)) {
        ForwardVerdict verdict = ForwardVerdict.of(chain, host.kernel());
        for (AttachmentView attachment : host.present()) {
          Optional<InstalledRule> rule = earlyDrop(host, attachment, verdict);
          if (rule.isPresent()
              && findings.includes(attachment)
              && reported.add(attachment.network())) {
            report(attachment, rule.get(), findings);
          }
        }
      }
    }
  }

  /** Returns a rule that drops what a container sends to the outside, or the answers to it. */
  private static Optional<InstalledRule> earlyDrop(
      HostView host, AttachmentView attachment, ForwardVerdict verdict)
      throws IOException, CniException {
    Optional<Link> own = attachment.routingLink();
    List<String> links = own.map(Link::name).map(List::of).orElse(List.of());
    for (IpFamily family : IpFamily.values()) {
      List<String> outside = verdict.covers(family) ? uplinks(host, family) : List.of();
      List<InetAddress> addresses =
          links.isEmpty() || outside.isEmpty()
              ? List.of()
              : RoutingExaminations.routedAddresses(host, attachment, family);
      for (InetAddress address : addresses) {
        var from =
            new ForwardedPackets(address, false, links, outside, List.of(), List.of(), false);
        var to = new ForwardedPackets(address, true, outside, links, List.of(), List.of(), true);
        Optional<InstalledRule> rule = verdict.earlyDrop(from).or(() -> verdict.earlyDrop(to));
        if (rule.isPresent()) {
          return rule;
        }
      }
    }
    return Optional.empty();
  }

  /** Returns the link of the default route, or else all that may lead out of the host. */
  private static List<String> uplinks(HostView host, IpFamily family)
      throws IOException, CniException {
    for (Route route : host.kernel().routes()) {
      if (RoutingExaminations.isDefault(route) && IpFamily.of(route.destination()) == family) {
        Optional<Link> link = host.kernel().link(route.hops().getFirst().link());
        if (link.isPresent()) {
          return List.of(link.get().name());
        }
      }
    }
    return outsideLinks(host);
  }

  private static void report(AttachmentView attachment, InstalledRule rule, Findings findings) {
    Chain chain = rule.chain();
    findings.ofNetwork(
        attachment.network(),
        "a firewall drops what the host forwards for containers: a rule of chain " + chain,
        "nft list chain %s: %s, before any rule that accepts packets of %s"
            .formatted(chain, RuleText.of(rule), attachment.label()),
        RemedyText.commented(
            "nft delete rule %s handle %d".formatted(chain, rule.handle()),
            "or accept the network's packets before it; the program that made it may do so again"));
  }

  /**
   * The plugin firewall, as that of the reference, accepts what comes from containers and the
   * answers to it, not what others begin with them.
   */
  private static void portsDropped(HostView host, Findings findings)
      throws IOException, CniException {
    Set<String> reported = new HashSet<>();
    for (InstalledChain chain : host.kernel().baseChains()) {
      if (!ForwardVerdict.filtersForwarded(chain)) {
        continue;
      }
      ForwardVerdict verdict = ForwardVerdict.of(chain, host.kernel());
      for (AttachmentView attachment : host.present()) {
        if (verdict.dropsByDefault()
            && findings.includes(attachment)
            && !reported.contains(chain.chain() + " " + attachment.network())) {
          Optional<String> dropped = droppedPort(host, attachment, verdict);
          if (dropped.isPresent()) {
            reported.add(chain.chain() + " " + attachment.network());
            reportPorts(attachment, verdict, dropped.get(), findings);
          }
        }
      }
    }
  }

  /** Returns a published port to which a chain accepts no connections from outside. */
  private static Optional<String> droppedPort(
      HostView host, AttachmentView attachment, ForwardVerdict verdict)
      throws IOException, CniException {
    List<Cidr> networks = new ArrayList<>();
    host.attachments().forEach(it -> networks.addAll(it.addresses()));
    List<String> outside = outsideLinks(host);
    List<String> links = linkNames(attachment);
    for (IpFamily family : IpFamily.values()) {
      for (InetAddress address : RoutingExaminations.routedAddresses(host, attachment, family)) {
        for (PortMapping port : attachment.publishedPorts()) {
          var packets =
              new ForwardedPackets(address, true, outside, links, List.of(port), networks, false);
          if (verdict.covers(family)
              && isPublishedOutside(port, family)
              && !verdict.mayAccept(packets)) {
            return Optional.of(
                "%s port %d, published as %s port %d"
                    .formatted(
                        InetAddresses.format(address),
                        port.containerPort(),
                        port.protocol(),
                        port.hostPort()));
          }
        }
      }
    }
    return Optional.empty();
  }

  private static boolean isPublishedOutside(PortMapping port, IpFamily family) {
    return port.hostIp()
        .filter(it -> it.isLoopbackAddress() || IpFamily.of(it) != family)
        .isEmpty();
  }

  private static void reportPorts(
      AttachmentView attachment, ForwardVerdict verdict, String port, Findings findings) {
    Chain base = verdict.chain().chain();
    Optional<String> adminChain =
        attachment.plugin("firewall").map(FilterExaminations::adminChain).filter(verdict::leadsTo);
    findings.ofNetwork(
        attachment.network(),
        "a firewall drops connections from outside to published ports: chain " + base,
        "%s, and no rule accepts connections to %s".formatted(verdict.evidence(), port),
        FilterCommand.acceptTranslated(base, adminChain.orElse(base.name())));
  }

  private static String adminChain(PluginConfig firewall) {
    String name = firewall.json().path("iptablesAdminChainName").asString("");
    return name.isEmpty() ? "CNI-ADMIN" : name;
  }

  private static void bridgeFiltered(HostView host, Findings findings)
      throws IOException, CniException {
    for (Drop drop : drops(host, findings)) {
      Optional<Link> bridge = drop.attachment().bridge();
      if (bridge.isEmpty()) {
        continue;
      }
      boolean v4 = InetAddresses.isV4(drop.address());
      String key = v4 ? IPTABLES : IP6TABLES;
      boolean byBridge =
          bridge.get().kindData() instanceof Link.Bridge it
              && (v4 ? it.callsIptables() : it.callsIp6tables());
      if (byBridge || host.kernel().sysctl(key).filter("1"::equals).isPresent()) {
        findings.ofNetwork(
            drop.attachment().network(),
            "a firewall also drops packets between containers of the same bridge (br_netfilter)",
            byBridge
                ? "bridge %s: nf_call_ip%stables 1".formatted(bridge.get().name(), v4 ? "" : "6")
                : key.replace('/', '.') + " = 1",
            RemedyText.commented(
                "sysctl -w " + key.replace('/', '.') + "=0", "or accept them in the chain"));
      }
    }
  }

  private static void policyBypassed(HostView host, Findings findings)
      throws IOException, CniException {
    boolean everywhere =
        host.kernel().sysctl(IPTABLES).filter("1"::equals).isPresent()
            && host.kernel().sysctl(IP6TABLES).filter("1"::equals).isPresent();
    for (Network network : host.networks()) {
      Optional<PluginConfig> plugin = HostView.plugin(network, "bridge");
      if (everywhere || plugin.isEmpty() || HostView.plugin(network, "policy").isEmpty()) {
        continue;
      }
      Optional<Link> bridge = host.kernel().link(BridgeExaminations.bridgeName(plugin.get()));
      if (bridge.isPresent()
          && bridge.get().kindData() instanceof Link.Bridge it
          && !it.isFiltered()) {
        findings.ofNetwork(
            network.name(),
            "policies do not apply between containers of the same bridge",
            "bridge " + bridge.get().name() + ": nf_call_iptables 0",
            "modprobe br_netfilter; ip link set %s type bridge nf_call_iptables 1 nf_call_ip6tables 1"
                .formatted(bridge.get().name()));
      }
    }
  }

  private static void mixedIptables(HostView host, Findings findings)
      throws IOException, CniException {
    List<String> legacy = new ArrayList<>();
    for (String file : List.of("ip_tables_names", "ip6_tables_names")) {
      host.kernel().procNet(file).stream().flatMap(String::lines).distinct().forEach(legacy::add);
    }
    List<Table> compatible =
        host.kernel().tables().stream().filter(FilterExaminations::isOfIptables).toList();
    if (!legacy.isEmpty() && !compatible.isEmpty()) {
      findings.ofHost(
          "both variants of iptables are in use: packets pass the rules of both, each lists only"
              + " its own",
          "iptables-legacy has the tables %s, iptables-nft has %s"
              .formatted(String.join(", ", legacy.stream().distinct().toList()), compatible),
          "move all programs to one variant (update-alternatives --config iptables) and reboot");
    }
  }

  private static boolean isOfIptables(Table table) {
    return (table.family() == TableFamily.IP || table.family() == TableFamily.IP6)
        && Set.of("filter", "nat", "mangle", "raw", "security").contains(table.name());
  }
}
