// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.Names;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * An address that is reserved.
 *
 * @param address the address
 * @param block the block that it is in
 * @param owner the node that has claimed the block, which may be another than the one that uses the
 *     address
 */
record ReservedAddress(InetAddress address, BlockId block, String owner) {
  private static final String MEMBER = "addresses";

  int offset() {
    return block.offsetOf(address);
  }

  /** Writes addresses as the member {@code addresses} of an object. */
  static void write(List<ReservedAddress> addresses, ObjectNode json) {
    ArrayNode array = json.putArray(MEMBER);
    for (ReservedAddress it : addresses) {
      array
          .addObject()
          .put("address", InetAddresses.format(it.address()))
          .put("block", it.block().toString())
          .put("owner", it.owner());
    }
  }

  /**
   * Reads the member {@code addresses}.
   *
   * @throws CniException code 6 if it is invalid
   */
  static List<ReservedAddress> read(StoredValue value) throws CniException {
    JsonNode array = value.json().path(MEMBER);
    if (!array.isArray()) {
      throw value.invalid(MEMBER, new IllegalArgumentException("must be a list"));
    }
    List<ReservedAddress> addresses = new ArrayList<>();
    for (JsonNode it : array) {
      try {
        InetAddress address = InetAddresses.parse(it.path("address").asString(""));
        BlockId block = BlockId.parse(it.path("block").asString(""));
        if (!block.network().contains(address)) {
          throw new IllegalArgumentException(
              "block " + block + " does not contain " + InetAddresses.format(address));
        }
        String owner = it.path("owner").asString("");
        if (!Names.isIdentifier(owner)) {
          throw new IllegalArgumentException("owner " + Json.quote(owner) + " is not a node");
        }
        addresses.add(new ReservedAddress(address, block, owner));
      } catch (IllegalArgumentException e) {
        throw value.invalid(MEMBER, e);
      }
    }
    return addresses;
  }
}
