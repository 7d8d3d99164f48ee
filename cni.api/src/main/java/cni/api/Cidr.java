// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.math.BigInteger;
import java.net.InetAddress;
import org.jspecify.annotations.Nullable;

/**
 * An IP address with a prefix length, such as {@code 10.1.0.5/16}. Host bits are kept; {@link
 * #network()} clears them.
 *
 * @param address an IPv4 or IPv6 address
 * @param prefix the prefix length in bits: 0 to 32 for IPv4, 0 to 128 for IPv6
 */
public record Cidr(InetAddress address, int prefix) {
  /** The bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2). */
  private static final int MAPPED_BITS = 96;

  /**
   * Checks the prefix length.
   *
   * @throws IllegalArgumentException if it is out of range for the address
   */
  public Cidr {
    requireNonNull(address, "address");
    if (prefix < 0 || prefix > InetAddresses.bits(address)) {
      throw new IllegalArgumentException(
          "has a prefix outside 0 to " + InetAddresses.bits(address));
    }
  }

  /**
   * Parses {@code address/prefix}. An IPv4-mapped IPv6 address gives an IPv4 address with the
   * prefix reduced by 96.
   *
   * @throws IllegalArgumentException if the text is not an address with a prefix; the message
   *     continues a sentence that begins with the text
   */
  public static Cidr parse(String text) {
    requireNonNull(text, "text");
    int slash = text.indexOf('/');
    String prefix = text.substring(slash + 1);
    if (slash < 0 || !prefix.matches("\\d{1,3}")) {
      throw new IllegalArgumentException("is not an address with a prefix, such as 10.1.0.0/16");
    }
    InetAddress address = InetAddresses.parse(text.substring(0, slash));
    boolean mapped = InetAddresses.isV4(address) && text.indexOf(':') >= 0; // ::ffff:10.1.0.5/112
    return new Cidr(address, Integer.parseInt(prefix) - (mapped ? MAPPED_BITS : 0));
  }

  /** Returns the address with the full prefix of its family: /32 or /128. */
  public static Cidr ofHost(InetAddress address) {
    return new Cidr(address, InetAddresses.bits(address));
  }

  /** Returns the destination of the default route, of the same family as the given address. */
  public static Cidr defaultRoute(InetAddress sameFamilyAs) {
    requireNonNull(sameFamilyAs, "sameFamilyAs");
    return new Cidr(InetAddresses.of(new byte[InetAddresses.bits(sameFamilyAs) / 8]), 0);
  }

  /** Returns whether the address is IPv4. */
  public boolean isV4() {
    return InetAddresses.isV4(address);
  }

  /** Returns the network: this address with the host bits cleared. */
  public Cidr network() {
    return new Cidr(InetAddresses.fromNumber(firstNumber(), InetAddresses.bits(address)), prefix);
  }

  /** Returns the highest address of the network; for IPv4 the broadcast address. */
  public InetAddress lastAddress() {
    int hostBits = InetAddresses.bits(address) - prefix;
    BigInteger span = BigInteger.ONE.shiftLeft(hostBits).subtract(BigInteger.ONE);
    return InetAddresses.fromNumber(firstNumber().add(span), InetAddresses.bits(address));
  }

  /** Returns whether the other address is in this network. */
  public boolean contains(InetAddress other) {
    requireNonNull(other, "other");
    return InetAddresses.bits(other) == InetAddresses.bits(address)
        && new Cidr(other, prefix).firstNumber().equals(firstNumber());
  }

  private BigInteger firstNumber() {
    int hostBits = InetAddresses.bits(address) - prefix;
    return InetAddresses.toNumber(address).shiftRight(hostBits).shiftLeft(hostBits);
  }

  // Written by hand: the first generated equals or hashCode that a process calls costs 17 % of the
  // time of "cni add" (docs/decisions/0005-image-start.md).

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Cidr it && prefix == it.prefix && address.equals(it.address);
  }

  @Override
  public int hashCode() {
    return 31 * address.hashCode() + prefix;
  }

  /** Returns the canonical text, {@code 10.1.0.5/16}. */
  @Override
  public String toString() {
    return InetAddresses.format(address) + "/" + prefix;
  }
}
