package cni.api;

import java.math.BigInteger;
import java.net.InetAddress;
import org.jspecify.annotations.Nullable;

/**
 * An address with the length of its network's prefix, as in {@code 10.1.0.5/16}. Bits after the
 * prefix are kept: {@link #network()} clears them.
 *
 * @param prefix in bits, 0 to 32 for IPv4, 0 to 128 for IPv6
 */
public record Cidr(InetAddress address, int prefix) {
  /** What stands before the IPv4 address in one that is mapped to IPv6. */
  private static final int MAPPED_BITS = 96;

  /**
   * Checks the prefix.
   *
   * @throws IllegalArgumentException if it does not fit the address
   */
  public Cidr {
    if (prefix < 0 || prefix > InetAddresses.bits(address)) {
      throw new IllegalArgumentException(
          "has a prefix outside 0 to " + InetAddresses.bits(address));
    }
  }

  /**
   * Reads {@code address/prefix}.
   *
   * @throws IllegalArgumentException if it is anything else
   */
  public static Cidr parse(String text) {
    int slash = text.indexOf('/');
    String prefix = text.substring(slash + 1);
    if (slash < 0 || !prefix.matches("\\d{1,3}")) {
      throw new IllegalArgumentException("is not an address with a prefix, such as 10.1.0.0/16");
    }
    InetAddress address = InetAddresses.parse(text.substring(0, slash));
    boolean mapped = InetAddresses.isV4(address) && text.indexOf(':') >= 0; // ::ffff:10.1.0.5/112
    return new Cidr(address, Integer.parseInt(prefix) - (mapped ? MAPPED_BITS : 0));
  }

  /** The default route's destination in the address's family. */
  public static Cidr defaultRoute(InetAddress sameFamilyAs) {
    return new Cidr(InetAddresses.of(new byte[InetAddresses.bits(sameFamilyAs) / 8]), 0);
  }

  /** Whether the address is IPv4. */
  public boolean isV4() {
    return InetAddresses.isV4(address);
  }

  /** The network: the same with every bit after the prefix zero. */
  public Cidr network() {
    return new Cidr(InetAddresses.fromNumber(firstNumber(), InetAddresses.bits(address)), prefix);
  }

  /** The highest address of the network: IPv4's broadcast address. */
  public InetAddress lastAddress() {
    int hostBits = InetAddresses.bits(address) - prefix;
    BigInteger span = BigInteger.ONE.shiftLeft(hostBits).subtract(BigInteger.ONE);
    return InetAddresses.fromNumber(firstNumber().add(span), InetAddresses.bits(address));
  }

  /** Whether the other address is in this network. */
  public boolean contains(InetAddress other) {
    return InetAddresses.bits(other) == InetAddresses.bits(address)
        && new Cidr(other, prefix).firstNumber().equals(firstNumber());
  }

  private BigInteger firstNumber() {
    int hostBits = InetAddresses.bits(address) - prefix;
    return InetAddresses.toNumber(address).shiftRight(hostBits).shiftLeft(hostBits);
  }

  // A record's own methods are spun when first used, which takes a process some 10 ms.

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Cidr it && prefix == it.prefix && address.equals(it.address);
  }

  @Override
  public int hashCode() {
    return 31 * address.hashCode() + prefix;
  }

  /** The canonical text, {@code 10.1.0.5/16}. */
  @Override
  public String toString() {
    return InetAddresses.format(address) + "/" + prefix;
  }
}
