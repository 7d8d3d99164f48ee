// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.InetAddresses;
import java.io.IOException;
import java.net.InetAddress;

/** The two protocols: DHCP for IPv4 and DHCPv6. */
enum DhcpFamily {
  IPV4("ipv4") {
    @Override
    DhcpClient open(ContainerLink link, Lease lease, Deadline deadline) throws IOException {
      link.bringUp(false);
      return new Dhcpv4Client(link, lease.clientId(), lease.options(), lease.maxRetransmitDelay());
    }
  },
  IPV6("ipv6") {
    @Override
    DhcpClient open(ContainerLink link, Lease lease, Deadline deadline)
        throws CniException, IOException {
      link.bringUp(true);
      return new Dhcpv6Client(
          link, link.awaitLinkLocal(deadline), lease.clientId(), lease.maxRetransmitDelay());
    }
  };

  private final String text;

  DhcpFamily(String text) {
    this.text = text;
  }

  /**
   * Opens a client; sets the interface up first.
   *
   * @throws CniException code 11 if the interface has no link-local address by the deadline
   */
  abstract DhcpClient open(ContainerLink link, Lease lease, Deadline deadline)
      throws CniException, IOException;

  /** Returns the name in configurations. */
  String text() {
    return text;
  }

  /** Returns whether an address is of the family. */
  boolean hasAddress(InetAddress address) {
    return InetAddresses.isV4(address) == (this == IPV4);
  }

  /** Describes that an attachment has no lease of the family. */
  String describeMissing(AttachmentId id) {
    return "container %s, interface %s has no %s lease"
        .formatted(id.containerId(), id.interfaceName(), text);
  }

  static DhcpFamily parse(String text) {
    for (DhcpFamily family : values()) {
      if (family.text.equals(text)) {
        return family;
      }
    }
    throw new IllegalArgumentException("is neither ipv4 nor ipv6");
  }
}
