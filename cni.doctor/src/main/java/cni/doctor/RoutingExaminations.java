// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.io.IOException;
import java.net.InetAddress;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Examines how the host routes packets of attachments. */
final class RoutingExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.FORWARDING_OFF, RoutingExaminations::forwardingOff),
          new Examination(FindingKind.RP_FILTER_STRICT, RoutingExaminations::strictRpFilter),
          new Examination(FindingKind.ROUTE_SHADOWED, RoutingExaminations::shadowedRoute),
          new Examination(
              FindingKind.DEFAULT_ROUTE_MISSING, RoutingExaminations::missingDefaultRoute),
          new Examination(FindingKind.MTU_ABOVE_UPLINK, RoutingExaminations::mtuAboveUplink),
          new Examination(FindingKind.ACCEPT_RA_IGNORED, RoutingExaminations::acceptRaIgnored));

  /** RTPROT_RA of linux/rtnetlink.h: a route from a router advertisement. */
  private static final int RTPROT_RA = 9;

  private static final String STRICT = "1";

  private RoutingExaminations() {}

  /** Returns the addresses of an attachment whose gateway is the host, for one family. */
  static List<InetAddress> routedAddresses(
      HostView host, AttachmentView attachment, IpFamily family) throws IOException, CniException {
    Set<InetAddress> own = new LinkedHashSet<>();
    host.kernel().addresses().forEach(it -> own.add(it.address()));
    return attachment.ips().stream()
        .filter(ip -> ip.gateway().filter(own::contains).isPresent())
        .map(Result.IpConfig::address)
        .map(it -> it.address())
        .filter(it -> IpFamily.of(it) == family)
        .toList();
  }

  private static void forwardingOff(HostView host, Findings findings)
      throws IOException, CniException {
    for (IpFamily family : IpFamily.values()) {
      Set<String> networks = new LinkedHashSet<>();
      for (AttachmentView attachment : host.present()) {
        if (!routedAddresses(host, attachment, family).isEmpty()) {
          networks.add(attachment.network());
        }
      }
      if (!networks.isEmpty() && !host.kernel().isForwarding(family)) {
        boolean v4 = family == IpFamily.IPV4;
        String key = v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
        findings.ofNetworks(
            List.copyOf(networks),
            "the host does not forward "
                + (v4 ? "IPv4" : "IPv6")
                + ": containers reach only the host itself",
            key + " = 0",
            RemedyText.commented(
                "sysctl -w " + key + "=1", "a file in /etc/sysctl.d may set it to 0"));
      }
    }
  }

  /**
   * A container with two attachments answers by its default route. If that leads to another link of
   * the host than the address belongs to, strict reverse path filtering drops the answer there.
   */
  private static void strictRpFilter(HostView host, Findings findings)
      throws IOException, CniException {
    for (AttachmentView attachment : host.present()) {
      Optional<AttachmentView> first = defaultAttachment(host, attachment);
      Optional<Link> answers = first.isEmpty() ? Optional.empty() : first.get().routingLink();
      Optional<Link> own = attachment.routingLink();
      if (answers.isEmpty()
          || own.isEmpty()
          || own.get().index() == answers.get().index()
          || !isStrict(host, answers.get())) {
        continue;
      }
      for (InetAddress address : routedAddresses(host, attachment, IpFamily.IPV4)) {
        if (!hasSourceRule(attachment, address)) {
          findings.ofAttachment(
              attachment,
              "the host drops the container's answers from an address: they arrive by another link",
              "net.ipv4.conf.%s.rp_filter = 1, and %s answers from %s by it"
                  .formatted(
                      answers.get().name(), attachment.label(), InetAddresses.format(address)),
              RemedyText.commented(
                  "sysctl -w net.ipv4.conf.%s.rp_filter=2".formatted(answers.get().name()),
                  "or add the plugin sbr to " + attachment.network()));
        }
      }
    }
  }

  /** The kernel uses the larger value of the link's own and that of all (IN_DEV_RPFILTER). */
  private static boolean isStrict(HostView host, Link link) throws IOException {
    String all = host.kernel().sysctl("net/ipv4/conf/all/rp_filter").orElse("0");
    String own = host.kernel().sysctl("net/ipv4/conf/" + link.name() + "/rp_filter").orElse("0");
    return (own.compareTo(all) > 0 ? own : all).equals(STRICT);
  }

  /** Returns the attachment that the container's IPv4 default route leads through. */
  private static Optional<AttachmentView> defaultAttachment(
      HostView host, AttachmentView attachment) throws IOException, CniException {
    NamespaceSnapshot namespace = attachment.namespace().orElseThrow();
    Optional<Route> route =
        namespace.routes().stream()
            .filter(it -> it.prefix() == 0 && it.table() == RtnetlinkConstants.RT_TABLE_MAIN)
            .filter(it -> IpFamily.of(it.destination()) == IpFamily.IPV4)
            .findFirst();
    if (route.isEmpty()) {
      return Optional.empty();
    }
    int index = route.get().hops().getFirst().link();
    for (AttachmentView other : host.present()) {
      if (other.attachment().namespace().equals(attachment.attachment().namespace())
          && other.link().orElseThrow().index() == index) {
        return Optional.of(other);
      }
    }
    return Optional.empty();
  }

  private static boolean hasSourceRule(AttachmentView attachment, InetAddress address)
      throws IOException, CniException {
    return attachment.namespace().orElseThrow().rules().stream()
        .anyMatch(it -> it.source().filter(address::equals).isPresent());
  }

  private static void shadowedRoute(HostView host, Findings findings)
      throws IOException, CniException {
    for (AttachmentView attachment : host.present()) {
      Optional<Link> own = attachment.routingLink();
      if (own.isEmpty() || own.get().master() != 0 || findings.isLinkBroken(attachment)) {
        continue; // a VRF has another routing table
      }
      for (IpFamily family : IpFamily.values()) {
        for (InetAddress address : routedAddresses(host, attachment, family)) {
          Optional<Integer> actual = host.kernel().linkTo(address);
          if (!actual.equals(Optional.of(own.get().index()))) {
            String by =
                actual.isEmpty()
                    ? "unreachable"
                    : "dev " + host.kernel().link(actual.get()).map(Link::name).orElse("?");
            findings.ofAttachment(
                attachment,
                "the host does not route the container's address to it",
                "ip route get %s: %s instead of dev %s"
                    .formatted(InetAddresses.format(address), by, own.get().name()),
                "delete that route, or give the network another subnet; then \"cni repair "
                    + attachment.arguments()
                    + "\"");
          }
        }
      }
    }
  }

  private static void missingDefaultRoute(HostView host, Findings findings)
      throws IOException, CniException {
    Set<String> networks = new LinkedHashSet<>();
    for (AttachmentView attachment : host.present()) {
      for (PluginConfig plugin : attachment.plugins()) {
        if (plugin.view().bool("ipMasq")) {
          networks.add(attachment.network());
        }
      }
    }
    boolean found = host.kernel().routes().stream().anyMatch(RoutingExaminations::isDefault);
    if (!networks.isEmpty() && !found) {
      findings.ofNetworks(
          List.copyOf(networks),
          "the host has no default route: masqueraded packets reach only its own networks",
          "ip route: no default",
          RemedyText.commented(
              "ip route add default via ROUTER", "or correct the host's network configuration"));
    }
  }

  static boolean isDefault(Route route) {
    return route.prefix() == 0 && route.type() == RtnetlinkConstants.RTN_UNICAST;
  }

  private static void mtuAboveUplink(HostView host, Findings findings)
      throws IOException, CniException {
    Set<String> reported = new LinkedHashSet<>();
    for (Route route : host.kernel().routes()) {
      Optional<Link> uplink =
          isDefault(route) ? host.kernel().link(route.hops().getFirst().link()) : Optional.empty();
      if (uplink.isEmpty()) {
        continue;
      }
      int mtu = route.mtu() > 0 ? Math.min(route.mtu(), uplink.get().mtu()) : uplink.get().mtu();
      IpFamily family = IpFamily.of(route.destination());
      for (AttachmentView attachment : host.present()) {
        int inside = attachment.link().orElseThrow().mtu();
        if (inside > mtu
            && !routedAddresses(host, attachment, family).isEmpty()
            && findings.includes(attachment)
            && reported.add(attachment.network())) {
          findings.ofNetwork(
              attachment.network(),
              "containers send larger packets than the uplink takes: connections hang where"
                  + " ICMP is filtered",
              "mtu %d of %s, mtu %d of %s"
                  .formatted(inside, attachment.label(), mtu, uplink.get().name()),
              "set \"mtu\": %d in the network's configuration, then cni update %s --all"
                  .formatted(mtu, attachment.network()));
        }
      }
    }
  }

  /** With forwarding on, the kernel heeds router advertisements only if accept_ra is 2. */
  private static void acceptRaIgnored(HostView host, Findings findings)
      throws IOException, CniException {
    if (!host.kernel().isForwarding(IpFamily.IPV6)) {
      return;
    }
    for (Route route : host.kernel().routes()) {
      Optional<Link> link =
          route.protocol() == RTPROT_RA && isDefault(route)
              ? host.kernel().link(route.hops().getFirst().link())
              : Optional.empty();
      if (link.isPresent() && link.get().acceptRa() == 1) {
        String key = "net.ipv6.conf." + link.get().name() + ".accept_ra";
        findings.ofHost(
            "the host's IPv6 default route expires: with forwarding on it is not renewed",
            key + " = 1 and net.ipv6.conf.all.forwarding = 1",
            "sysctl -w " + key + "=2");
      }
    }
  }
}
