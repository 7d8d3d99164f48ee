// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.math.BigInteger;
import java.net.InetAddress;
import java.net.UnknownHostException;

/**
 * A block of addresses as keys name it, such as {@code 10.1.0.0-26} or {@code fd00::-122}.
 *
 * @param first its first address
 * @param prefixLength the number of bits that its addresses have in common
 */
record AddressBlock(InetAddress first, int prefixLength) {
  /** More addresses than any test has in a block: a block is that of a few containers. */
  private static final int MAX_HOST_BITS = 16;

  /**
   * Parses the name of a block.
   *
   * @throws IllegalArgumentException if it is malformed or the address is not that of a block
   */
  static AddressBlock parse(String name) {
    int dash = name.lastIndexOf('-');
    if (dash < 0) {
      throw new IllegalArgumentException("block " + name + " has no prefix length");
    }
    var block =
        new AddressBlock(
            InetAddress.ofLiteral(name.substring(0, dash)),
            Integer.parseInt(name.substring(dash + 1)));
    if (block.hostBits() < 0 || block.hostBits() > MAX_HOST_BITS) {
      throw new IllegalArgumentException("block " + name + " has an invalid prefix length");
    }
    if (block.start().mod(BigInteger.valueOf(block.size())).signum() != 0) {
      throw new IllegalArgumentException("block " + name + " has bits after its prefix");
    }
    return block;
  }

  private static BigInteger number(InetAddress address) {
    return new BigInteger(1, address.getAddress());
  }

  private int hostBits() {
    return first.getAddress().length * Byte.SIZE - prefixLength;
  }

  int size() {
    return 1 << hostBits();
  }

  /** Returns the first address as a number. */
  BigInteger start() {
    return number(first);
  }

  /** Returns the last address as a number. */
  BigInteger end() {
    return start().add(BigInteger.valueOf(size() - 1L));
  }

  boolean overlaps(AddressBlock other) {
    return first.getClass() == other.first.getClass()
        && start().compareTo(other.end()) <= 0
        && other.start().compareTo(end()) <= 0;
  }

  /** Returns the index of an address in the block; -1 if it is outside. */
  int indexOf(InetAddress address) {
    if (address.getClass() != first.getClass()) {
      return -1;
    }
    BigInteger index = number(address).subtract(start());
    return index.signum() < 0 || index.compareTo(BigInteger.valueOf(size())) >= 0
        ? -1
        : index.intValueExact();
  }

  /** Returns the address with an index. */
  String address(int index) {
    int length = first.getAddress().length;
    byte[] number = start().add(BigInteger.valueOf(index)).toByteArray();
    byte[] bytes = new byte[length];
    int copied = Math.min(number.length, length); // without the byte of the sign
    System.arraycopy(number, number.length - copied, bytes, length - copied, copied);
    try {
      return InetAddress.getByAddress(bytes).getHostAddress();
    } catch (UnknownHostException e) {
      throw new AssertionError(e); // 4 or 16 bytes
    }
  }
}
