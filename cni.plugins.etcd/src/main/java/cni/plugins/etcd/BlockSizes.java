// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.plugins.etcd.client.KeyValue;
import tools.jackson.databind.node.ObjectNode;

/**
 * The sizes of a network's blocks, as prefix lengths. They are stored in etcd by the node that uses
 * the network first: blocks of several sizes would overlap.
 *
 * @param v4 the prefix length of IPv4 blocks, {@code blockSize}
 * @param v6 the prefix length of IPv6 blocks, {@code blockSizeV6}
 */
record BlockSizes(int v4, int v6) {
  private static final String V4 = "blockSize";
  private static final String V6 = "blockSizeV6";

  private static final int V4_BITS = 32;
  private static final int V6_BITS = 128;

  /** Blocks of 64 addresses. */
  private static final int DEFAULT_HOST_BITS = 6;

  /** Blocks of 4096 addresses: each assignment writes a bit for each of them. */
  static final int MAX_HOST_BITS = 12;

  /**
   * Parses {@code blockSize} and {@code blockSizeV6}.
   *
   * @throws CniException code 7 if one is invalid
   */
  static BlockSizes parse(ConfigObject ipam) throws CniException {
    return new BlockSizes(size(ipam, V4, V4_BITS), size(ipam, V6, V6_BITS));
  }

  private static int size(ConfigObject ipam, String key, int bits) throws CniException {
    return ipam.integer(key, bits - MAX_HOST_BITS, bits).orElse(bits - DEFAULT_HOST_BITS);
  }

  int of(boolean isV4) {
    return isV4 ? v4 : v6;
  }

  String toJson() {
    ObjectNode json = Json.object();
    json.put(V4, v4).put(V6, v6);
    return StoredValue.text(json);
  }

  /**
   * Requires that the network's blocks have these sizes.
   *
   * @param stored the sizes in etcd
   * @throws CniException code 7 if they have others
   */
  void requireSame(KeyValue stored) throws CniException {
    StoredValue value = StoredValue.parse(stored);
    var present =
        new BlockSizes(
            value.integer(V4, V4_BITS - MAX_HOST_BITS, V4_BITS),
            value.integer(V6, V6_BITS - MAX_HOST_BITS, V6_BITS));
    if (!equals(present)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "the network's blocks in etcd are /%d and /%d (%s), not /%d and /%d: set ipam.%s to %d and"
                  .formatted(present.v4, present.v6, stored.key(), v4, v6, V4, present.v4)
              + " ipam.%s to %d on every node".formatted(V6, present.v6));
    }
  }
}
