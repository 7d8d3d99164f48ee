// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import java.io.IOException;
import java.net.InetAddress;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Examines the addresses of attachments. */
final class AddressExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.ADDRESS_DUPLICATE, AddressExaminations::duplicate),
          new Examination(FindingKind.DAD_FAILED, AddressExaminations::dadFailed),
          new Examination(FindingKind.ADDRESS_TENTATIVE, AddressExaminations::tentative));

  private AddressExaminations() {}

  /** Returns the addresses of the attachment's interface that are of its result. */
  private static List<InterfaceAddress> installed(AttachmentView attachment)
      throws IOException, CniException {
    Optional<NamespaceSnapshot> namespace = attachment.namespace();
    Optional<Link> link = attachment.link();
    if (namespace.isEmpty() || link.isEmpty()) {
      return List.of();
    }
    List<InetAddress> expected = attachment.addresses().stream().map(Cidr::address).toList();
    return namespace.get().addresses().stream()
        .filter(it -> it.link() == link.get().index() && expected.contains(it.address()))
        .toList();
  }

  /**
   * An interface with an address.
   *
   * @param name how messages name it
   * @param network the network of its attachment; empty if it is the host's
   * @param removal the command that removes the address from the host; empty for an attachment
   */
  private record Owner(String name, Optional<String> network, String removal) {}

  private static Map<InetAddress, Owner> hostOwners(HostView host)
      throws IOException, CniException {
    Map<InetAddress, Owner> owners = new HashMap<>();
    for (InterfaceAddress address : host.kernel().addresses()) {
      String link = host.kernel().link(address.link()).map(Link::name).orElse("?");
      String removal =
          "ip addr del %s/%d dev %s"
              .formatted(InetAddresses.format(address.address()), address.prefix(), link);
      owners.put(address.address(), new Owner("the host's " + link, Optional.empty(), removal));
    }
    return owners;
  }

  private static void duplicate(HostView host, Findings findings) throws IOException, CniException {
    Map<InetAddress, Owner> owners = hostOwners(host);
    for (AttachmentView attachment : host.present()) {
      if (attachment.routingLink().isEmpty()) {
        continue; // macvlan and VLANs: another link may be another segment
      }
      var self =
          new Owner(
              attachment.label() + " of " + attachment.network(),
              Optional.of(attachment.network()),
              "");
      for (InterfaceAddress address : installed(attachment)) {
        Owner other = owners.putIfAbsent(address.address(), self);
        if (other != null) {
          findings.ofAttachment(
              attachment,
              "another interface has the same address: traffic reaches only one of them",
              "%s is the address of %s and of %s"
                  .formatted(
                      InetAddresses.format(address.address()), other.name(), attachment.label()),
              duplicateRemedy(host, attachment, address.address(), other));
        }
      }
    }
  }

  /**
   * The container gets another address, with which it keeps its ports. If another network gives
   * away the same addresses, the next one would be as bad.
   */
  private static String duplicateRemedy(
      HostView host, AttachmentView attachment, InetAddress address, Owner other)
      throws IOException, CniException {
    if (other.network().isEmpty()) {
      return RemedyText.commented(other.removal(), "or give the network another subnet");
    }
    String network = attachment.network();
    if (!other.network().get().equals(network)) {
      Optional<SubnetOverlap> overlap =
          SubnetOverlap.among(host.networks()).stream()
              .filter(it -> it.isOf(network, other.network().get()))
              .findFirst();
      return overlap.isPresent()
          ? SubnetExaminations.separate(host, overlap.get())
          : SubnetExaminations.recreateAll(
              network, other.network().get()); // the configuration has been corrected
    }
    Optional<InetAddress> free = freeAddress(host, attachment, address);
    return free.isPresent()
        ? "cni update %s --args IP=%s"
            .formatted(attachment.arguments(), InetAddresses.format(free.get()))
        : "give one of them another address";
  }

  /** Returns an address that host-local may give away in place of another one. */
  private static Optional<InetAddress> freeAddress(
      HostView host, AttachmentView attachment, InetAddress address)
      throws IOException, CniException {
    Optional<HostLocalRanges> ranges = attachment.ranges();
    if (ranges.isEmpty()) {
      return Optional.empty();
    }
    Set<InetAddress> used = new HashSet<>();
    host.reservations(ranges.get()).forEach(it -> used.add(it.address()));
    host.attachments().forEach(it -> it.addresses().forEach(ip -> used.add(ip.address())));
    host.kernel().addresses().forEach(it -> used.add(it.address()));
    return ranges.get().all().stream()
        .filter(it -> it.contains(address))
        .findFirst()
        .flatMap(range -> range.addresses().filter(it -> !used.contains(it)).findFirst());
  }

  private static void dadFailed(HostView host, Findings findings) throws IOException, CniException {
    for (AttachmentView attachment : host.present()) {
      for (InterfaceAddress address : installed(attachment)) {
        if (address.isDuplicate()) {
          findings.ofAttachment(
              attachment,
              "the kernel does not use an address: another station on the link has it (DAD)",
              attachment.ip(
                  "address show %s: %s dadfailed"
                      .formatted(
                          attachment.attachment().interfaceName(),
                          InetAddresses.format(address.address()))),
              "find the other station, then detach and attach the container again");
        }
      }
    }
    for (var bridge : BridgeExaminations.bridges(host).entrySet()) {
      for (InterfaceAddress address : host.kernel().addresses()) {
        if (address.link() == bridge.getKey().index() && address.isDuplicate()) {
          reportBridge(bridge.getKey(), bridge.getValue(), address, findings);
        }
      }
    }
  }

  private static void reportBridge(
      Link bridge, Set<String> networks, InterfaceAddress address, Findings findings) {
    findings.ofNetworks(
        List.copyOf(networks),
        "the kernel does not use an address of the bridge: another station has it (DAD)",
        "ip address show %s: %s dadfailed"
            .formatted(bridge.name(), InetAddresses.format(address.address())),
        "find the other station, then delete and add the address");
  }

  private static void tentative(HostView host, Findings findings) throws IOException, CniException {
    for (AttachmentView attachment : host.present()) {
      if (findings.isLinkBroken(attachment)) {
        continue; // detection waits for a carrier
      }
      for (InterfaceAddress address : installed(attachment)) {
        if (address.isTentative() && !address.isDuplicate()) {
          findings.ofAttachment(
              attachment,
              "an IPv6 address is not usable yet: duplicate address detection has not finished",
              attachment.ip(
                  "address show %s: %s tentative"
                      .formatted(
                          attachment.attachment().interfaceName(),
                          InetAddresses.format(address.address()))),
              "it ends within seconds if the link has a carrier: see \"ip link\" on both sides");
        }
      }
    }
  }
}
