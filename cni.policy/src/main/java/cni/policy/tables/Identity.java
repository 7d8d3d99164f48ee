// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.policy.Endpoint;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.util.List;

/**
 * By what the {@code inet} table knows a container: the interface at which the host receives its
 * packets, which is the bridge or the host's end of a veth, and one of its addresses. The address
 * is its own because packets from another one are dropped before.
 */
public record Identity(String device, InetAddress address) {
  /** Returns the identities of an endpoint. */
  public static List<Identity> of(Endpoint endpoint) {
    String device = endpoint.device();
    return endpoint.addresses().stream().map(it -> new Identity(device, it.address())).toList();
  }

  boolean isV4() {
    return address instanceof Inet4Address;
  }

  /** Returns the key of a set of interfaces with addresses. */
  Bytes key() {
    return key(device, address);
  }

  static Bytes key(String device, InetAddress address) {
    return Keys.join(RuleBuilder.interfaceName(device), Bytes.of(address.getAddress()));
  }
}
