// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Json;
import cni.plugins.etcd.client.KeyValue;
import java.math.BigInteger;
import java.util.OptionalInt;
import tools.jackson.databind.node.ObjectNode;

/**
 * A block that a node has claimed, and its addresses that are reserved. Its value in etcd is {@code
 * {"used": "1f", "next": 5}}.
 *
 * @param id the block
 * @param owner the node that has claimed it
 * @param used bit i is set if the i-th address is reserved
 * @param next the position from which the next free address is looked for, so that an address is
 *     not assigned again soon after its release
 * @param modRevision the revision of this state; 0 if the block is not claimed yet
 */
record Block(BlockId id, String owner, BigInteger used, int next, long modRevision) {
  private static final int HEXADECIMAL = 16;

  /** Returns a block that is about to be claimed. */
  static Block unclaimed(BlockId id, String owner) {
    return new Block(id, owner, BigInteger.ZERO, 0, 0);
  }

  /**
   * Parses a key's value.
   *
   * @throws CniException code 6 if it is invalid
   */
  static Block parse(BlockId id, String owner, KeyValue stored) throws CniException {
    StoredValue value = StoredValue.parse(stored);
    return new Block(
        id,
        owner,
        value.parsed("used", it -> parseUsed(it, id.size())),
        value.integer("next", 0, id.size() - 1),
        stored.modRevision());
  }

  private static BigInteger parseUsed(String text, int size) {
    if (text.length() > size) { // before a number of that length is computed
      throw new IllegalArgumentException("has more bits than the block has addresses");
    }
    BigInteger used;
    try {
      used = new BigInteger(text, HEXADECIMAL);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("must be a hexadecimal number such as 1f", e);
    }
    if (used.signum() < 0 || used.bitLength() > size) {
      throw new IllegalArgumentException("has other bits than the block has addresses");
    }
    return used;
  }

  String toJson() {
    ObjectNode json = Json.object();
    json.put("used", used.toString(HEXADECIMAL)).put("next", next);
    return StoredValue.text(json);
  }

  boolean isUsed(int offset) {
    return used.testBit(offset);
  }

  boolean isEmpty() {
    return used.signum() == 0;
  }

  /** Returns the block with an address reserved. */
  Block reserve(int offset) {
    return new Block(id, owner, used.setBit(offset), (offset + 1) % id.size(), modRevision);
  }

  /** Returns the block with an address released. */
  Block release(int offset) {
    return new Block(id, owner, used.clearBit(offset), next, modRevision);
  }

  /** Returns the block as it is after a transaction that has written it. */
  Block writtenAt(long revision) {
    return new Block(id, owner, used, next, revision);
  }

  /**
   * Returns the position of the next free address, from {@link #next} to the end and then from the
   * start.
   *
   * @param usable bit i is set if the i-th address may be assigned
   */
  OptionalInt nextFree(BigInteger usable) {
    BigInteger free = usable.andNot(used);
    if (free.signum() == 0) {
      return OptionalInt.empty();
    }
    BigInteger later = free.shiftRight(next);
    return OptionalInt.of(
        later.signum() == 0 ? free.getLowestSetBit() : next + later.getLowestSetBit());
  }
}
