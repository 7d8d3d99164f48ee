// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.Json;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.OptionalLong;
import tools.jackson.databind.node.ObjectNode;

/** An operation of a transaction. */
public sealed interface Op {
  /**
   * Writes a key.
   *
   * @param lease the lease whose end deletes the key; absent for a key that stays
   */
  record Put(String key, String value, OptionalLong lease) implements Op {
    /** Writes a key that stays. */
    public Put(String key, String value) {
      this(key, value, OptionalLong.empty());
    }
  }

  /** Deletes a key. */
  record Delete(String key) implements Op {}

  /** Reads a key. */
  record Get(String key) implements Op {}

  /**
   * Reads the keys that begin with a prefix.
   *
   * @param prefix the prefix
   * @param limit the maximum number of keys; 0 for all
   * @param keysOnly whether to leave out the values
   * @param order the order of the keys
   */
  record GetPrefix(String prefix, int limit, boolean keysOnly, Order order) implements Op {
    /** Reads all keys with their values. */
    public static GetPrefix all(String prefix) {
      return new GetPrefix(prefix, 0, false, Order.KEY);
    }

    /** Reads all keys without their values. */
    public static GetPrefix keys(String prefix) {
      return new GetPrefix(prefix, 0, true, Order.KEY);
    }

    /** Reads the keys that were written last. */
    public static GetPrefix newest(String prefix, int limit) {
      return new GetPrefix(prefix, limit, false, Order.NEWEST);
    }

    private void describe(ObjectNode range) {
      range.put("key", encode(prefix)).put("range_end", encode(endOf(prefix)));
      if (limit > 0) {
        range.put("limit", String.valueOf(limit));
      }
      if (keysOnly) {
        range.put("keys_only", true);
      }
      switch (order) {
        case KEY -> {}
        case NEWEST -> range.put("sort_order", "DESCEND").put("sort_target", "MOD");
      }
    }
  }

  /** The order in which keys are read. */
  enum Order {
    /** By the key's bytes. */
    KEY,
    /** By the revision of the last write, the latest first. */
    NEWEST
  }

  /** Whether the operation returns keys. */
  default boolean isRead() {
    return this instanceof Get || this instanceof GetPrefix;
  }

  /** Returns the operation as {@code RequestOp} of etcd's API (rpc.proto). */
  default ObjectNode toJson() {
    ObjectNode json = Json.object();
    switch (this) {
      case Put put -> {
        ObjectNode request = json.putObject("request_put");
        request.put("key", encode(put.key())).put("value", encode(put.value()));
        put.lease().ifPresent(it -> request.put("lease", String.valueOf(it)));
      }
      case Delete delete -> json.putObject("request_delete_range").put("key", encode(delete.key()));
      case Get get -> json.putObject("request_range").put("key", encode(get.key()));
      case GetPrefix get -> get.describe(json.putObject("request_range"));
    }
    return json;
  }

  /** Returns text in the gateway's encoding of bytes. */
  static String encode(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  /** Returns the key that follows all keys with a prefix. */
  static String endOf(String prefix) {
    int last = prefix.length() - 1;
    return prefix.substring(0, last) + (char) (prefix.charAt(last) + 1);
  }
}
