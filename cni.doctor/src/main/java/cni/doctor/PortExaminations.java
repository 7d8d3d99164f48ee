// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.api.PortMapping;
import cni.doctor.socket.ListeningSocket;
import cni.netlink.ffm.nftables.TrackedConnection;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.runtime.Network;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Examines published ports. */
final class PortExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.CONNECTION_STALE, PortExaminations::staleConnections),
          new Examination(FindingKind.ROUTE_LOCALNET_OFF, PortExaminations::routeLocalnetOff),
          new Examination(FindingKind.HAIRPIN_OFF, PortExaminations::hairpinOff),
          new Examination(FindingKind.PORT_TAKEN, PortExaminations::portTaken));

  private static final int IPPROTO_UDP = 17;

  private PortExaminations() {}

  /** A published port from which datagrams go to an address that no attachment has. */
  private record StaleFlow(String network, int port, InetAddress server) {}

  /**
   * A UDP flow keeps its translation while it has packets, even after the container has gone: to
   * that client the port seems dead, also if another container has it now.
   */
  private static void staleConnections(HostView host, Findings findings)
      throws IOException, CniException {
    Set<InetAddress> held = new HashSet<>();
    host.attachments().forEach(it -> it.addresses().forEach(ip -> held.add(ip.address())));
    Set<StaleFlow> found = new LinkedHashSet<>();
    for (Network network : host.networks()) {
      Optional<HostLocalRanges> ranges = HostView.ranges(network);
      if (ranges.isEmpty()) {
        continue;
      }
      for (TrackedConnection connection : host.kernel().connections()) {
        if (isTranslatedUdp(connection)) {
          InetAddress server = InetAddresses.of(connection.server().toArray());
          boolean inNetwork = ranges.get().subnets().stream().anyMatch(it -> it.contains(server));
          if (inNetwork && !held.contains(server)) {
            found.add(new StaleFlow(network.name(), connection.port(), server));
          }
        }
      }
    }
    for (StaleFlow flow : found) {
      String server = InetAddresses.format(flow.server());
      findings.ofNetwork(
          flow.network(),
          "datagrams to a published port still go to a container that no longer exists",
          "conntrack -L -p udp: port %d is translated to %s, which no attachment has"
              .formatted(flow.port(), server),
          "conntrack -D -p udp --reply-src " + server);
    }
  }

  private static boolean isTranslatedUdp(TrackedConnection connection) {
    return connection.protocol() == IPPROTO_UDP
        && connection.server().length() > 0
        && !connection.server().equals(connection.destination());
  }

  private static void portTaken(HostView host, Findings findings) throws IOException, CniException {
    List<ListeningSocket> listeners = listeners(host.kernel());
    for (AttachmentView attachment : host.attachments()) {
      for (PortMapping port : attachment.publishedPorts()) {
        Optional<ListeningSocket> conflict =
            listeners.stream().filter(it -> conflicts(it, port)).findFirst();
        if (conflict.isPresent()) {
          findings.ofAttachment(
              attachment,
              "a program of the host listens on a published port: others reach the container"
                  + " instead (unless its runtime only reserves the port)",
              "ss -ln: %s listens on %s, published by %s"
                  .formatted(port.protocol(), conflict.get(), attachment.label()),
              "stop that program, or publish another port");
        }
      }
    }
  }

  /** Lists the sockets of the host's namespace. */
  private static List<ListeningSocket> listeners(HostKernel kernel) throws IOException {
    List<ListeningSocket> all = new ArrayList<>();
    for (String file : ListeningSocket.FILES) {
      kernel
          .procNet(file)
          .ifPresent(text -> all.addAll(ListeningSocket.parse(file, text.lines().toList())));
    }
    return all;
  }

  /** Returns whether a socket would receive what is sent to a published port. */
  private static boolean conflicts(ListeningSocket socket, PortMapping published) {
    return socket.protocol().equals(published.protocol().toString())
        && socket.port() == published.hostPort()
        && (socket.address().isAnyLocalAddress()
            || published.hostIp().stream()
                .allMatch(it -> it.isAnyLocalAddress() || it.equals(socket.address())));
  }

  private static void routeLocalnetOff(HostView host, Findings findings)
      throws IOException, CniException {
    for (AttachmentView attachment : host.present()) {
      Optional<Link> link = attachment.routingLink();
      Optional<PluginConfig> portmap = attachment.plugin("portmap");
      if (link.isEmpty()
          || portmap.isEmpty()
          || attachment.publishedPorts().isEmpty()
          || findings.isLinkBroken(attachment)) {
        continue;
      }
      boolean snat = !portmap.get().view().has("snat") || portmap.get().view().bool("snat");
      if (snat
          && !RoutingExaminations.routedAddresses(host, attachment, IpFamily.IPV4).isEmpty()
          && !host.kernel().isRouteLocalnetOn(link.get())) {
        String key = "net.ipv4.conf." + link.get().name() + ".route_localnet";
        findings.ofAttachment(
            attachment,
            "the host cannot reach published ports by 127.0.0.1",
            key + " = 0",
            RemedyText.commented(
                "cni repair " + attachment.arguments(), "or sysctl -w " + key + "=1"));
      }
    }
  }

  /** The host's loopback addresses are out of reach of containers. */
  private static boolean isPublishedToItself(AttachmentView attachment) {
    return attachment.publishedPorts().stream()
        .anyMatch(it -> it.hostIp().filter(InetAddress::isLoopbackAddress).isEmpty());
  }

  /** Where br_netfilter is on, bridged packets are translated, and may have to go back. */
  private static void hairpinOff(HostView host, Findings findings)
      throws IOException, CniException {
    boolean isOn =
        host.kernel().sysctl("net/bridge/bridge-nf-call-iptables").filter("1"::equals).isPresent();
    for (AttachmentView attachment : isOn ? host.present() : List.<AttachmentView>of()) {
      Optional<Link> port = attachment.hostLink().filter(it -> !it.portModes().hairpin());
      Optional<Link> bridge =
          attachment.bridge().filter(it -> (it.flags() & LinkConstants.IFF_PROMISC) == 0);
      if (port.isPresent() && bridge.isPresent() && isPublishedToItself(attachment)) {
        findings.ofAttachment(
            attachment,
            "the container cannot reach itself by its published port",
            "bridge -d link show dev %s: hairpin off".formatted(port.get().name()),
            "bridge link set dev %s hairpin on".formatted(port.get().name()));
      }
    }
  }
}
