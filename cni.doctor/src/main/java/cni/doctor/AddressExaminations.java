package cni.doctor;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import java.io.IOException;
import java.net.InetAddress;
import java.util.HashMap;
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

  private static void duplicate(HostView host, Findings findings) throws IOException, CniException {
    Map<InetAddress, String> owners = new HashMap<>();
    for (InterfaceAddress address : host.kernel().addresses()) {
      String link = host.kernel().link(address.link()).map(Link::name).orElse("?");
      owners.put(address.address(), "the host's " + link);
    }
    for (AttachmentView attachment : host.present()) {
      if (attachment.routingLink().isEmpty()) {
        continue; // macvlan and VLANs: another link may be another segment
      }
      for (InterfaceAddress address : installed(attachment)) {
        String other =
            owners.putIfAbsent(
                address.address(), attachment.label() + " of " + attachment.network());
        if (other != null) {
          findings.ofAttachment(
              attachment,
              "another interface has the same address: traffic reaches only one of them",
              "%s is the address of %s and of %s"
                  .formatted(InetAddresses.format(address.address()), other, attachment.label()),
              "detach and attach one of them again: cni del %s; cni add %s"
                  .formatted(attachment.arguments(), attachment.arguments()));
        }
      }
    }
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
