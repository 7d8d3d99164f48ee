// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.net.InetAddress;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/**
 * Addresses that the container's address is to be allocated from: a range of the capability {@code
 * ipRanges} (CONVENTIONS.md, "ip ranges").
 *
 * @param subnet the network, without host bits
 * @param rangeStart the first address to allocate; absent for the first of the subnet
 * @param rangeEnd the last address to allocate; absent for the last of the subnet
 * @param gateway the gateway of the subnet; absent for the plugin's default, its first address
 */
public record IpRange(
    Cidr subnet,
    Optional<InetAddress> rangeStart,
    Optional<InetAddress> rangeEnd,
    Optional<InetAddress> gateway) {
  /**
   * Checks the addresses.
   *
   * @throws IllegalArgumentException if the subnet has host bits, or the range's start or end is
   *     not in it; the message continues a sentence that begins with the range
   */
  public IpRange {
    requireNonNull(subnet, "subnet");
    requireNonNull(rangeStart, "rangeStart");
    requireNonNull(rangeEnd, "rangeEnd");
    requireNonNull(gateway, "gateway");
    if (!subnet.equals(subnet.network())) {
      throw new IllegalArgumentException(
          "has bits set after the prefix; the subnet is " + subnet.network());
    }
    requireInside(subnet, rangeStart);
    requireInside(subnet, rangeEnd);
  }

  private static void requireInside(Cidr subnet, Optional<InetAddress> address) {
    if (address.isPresent() && !subnet.contains(address.get())) {
      throw new IllegalArgumentException(
          "has the address %s outside the subnet %s"
              .formatted(InetAddresses.format(address.get()), subnet));
    }
  }

  /** Returns the range of a whole subnet, with the plugin's default for the gateway. */
  public static IpRange of(Cidr subnet) {
    return new IpRange(subnet, Optional.empty(), Optional.empty(), Optional.empty());
  }

  /**
   * Parses a subnet, {@code 10.1.0.0/16}, or a part of one, {@code 10.1.0.10-10.1.0.50/16}.
   *
   * @throws IllegalArgumentException if the text has another form; the message continues a sentence
   *     that begins with the text
   */
  public static IpRange parse(String text) {
    requireNonNull(text, "text");
    int dash = text.indexOf('-');
    if (dash < 0) {
      return of(Cidr.parse(text));
    }
    Cidr end = Cidr.parse(text.substring(dash + 1));
    InetAddress start = InetAddresses.parse(text.substring(0, dash));
    return new IpRange(
        end.network(), Optional.of(start), Optional.of(end.address()), Optional.empty());
  }

  /** Returns the same range with a gateway. */
  public IpRange withGateway(InetAddress address) {
    requireNonNull(address, "address");
    return new IpRange(subnet, rangeStart, rangeEnd, Optional.of(address));
  }

  /** Returns the range as an object of {@code ipRanges}. */
  public ObjectNode toJson() {
    ObjectNode json = Json.object();
    json.put("subnet", subnet.toString());
    put(json, "rangeStart", rangeStart);
    put(json, "rangeEnd", rangeEnd);
    put(json, "gateway", gateway);
    return json;
  }

  private static void put(ObjectNode json, String key, Optional<InetAddress> address) {
    if (address.isPresent()) {
      json.put(key, InetAddresses.format(address.get()));
    }
  }
}
