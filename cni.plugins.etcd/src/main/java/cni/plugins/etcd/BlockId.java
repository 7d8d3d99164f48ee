// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.Json;
import java.math.BigInteger;
import java.net.InetAddress;

/**
 * A block of addresses, the unit that nodes claim: an aligned network.
 *
 * @param network the network, without host bits
 */
record BlockId(Cidr network) {
  /** Separates the address from the prefix length in keys, where "/" separates the parts. */
  private static final char SEPARATOR = '-';

  /** Returns the block of an address. */
  static BlockId of(InetAddress address, int prefix) {
    return new BlockId(new Cidr(address, prefix).network());
  }

  /**
   * Parses the text of a key, such as {@code 10.1.0.0-26}.
   *
   * @throws IllegalArgumentException if it is something else
   */
  static BlockId parse(String text) {
    var block = new BlockId(Cidr.parse(text.replace(SEPARATOR, '/')));
    if (!block.toString().equals(text)) {
      throw new IllegalArgumentException("is not a block, such as 10.1.0.0-26");
    }
    int hostBits = InetAddresses.bits(block.network.address()) - block.network.prefix();
    if (hostBits > BlockSizes.MAX_HOST_BITS || !block.network.equals(block.network.network())) {
      throw new IllegalArgumentException("is not an aligned block of up to 4096 addresses");
    }
    return block;
  }

  /**
   * Parses a part of a key in etcd.
   *
   * @param key the whole key, for the message
   * @throws CniException code 6 if it is something else
   */
  static BlockId parse(String text, String key) throws CniException {
    try {
      return parse(text);
    } catch (IllegalArgumentException e) {
      throw EtcdKeys.invalid(key, Json.quote(text) + " " + e.getMessage(), e);
    }
  }

  /** Returns the number of addresses. */
  int size() {
    return 1 << (InetAddresses.bits(network.address()) - network.prefix());
  }

  /** Returns the position of an address of the block. */
  int offsetOf(InetAddress address) {
    return InetAddresses.toNumber(address).subtract(base()).intValueExact();
  }

  /** Returns the address at a position. */
  InetAddress addressAt(int offset) {
    return InetAddresses.fromNumber(
        base().add(BigInteger.valueOf(offset)), InetAddresses.bits(network.address()));
  }

  private BigInteger base() {
    return InetAddresses.toNumber(network.address());
  }

  /** Returns the text of a key. */
  @Override
  public String toString() {
    return network.toString().replace('/', SEPARATOR);
  }
}
