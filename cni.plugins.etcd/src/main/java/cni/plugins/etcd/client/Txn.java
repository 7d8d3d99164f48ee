// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.Json;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A transaction: compares keys and, in the same step, performs one of two lists of operations.
 * etcd's default limit is 128 elements in each list (--max-txn-ops).
 */
public final class Txn {
  private final Map<String, Long> compares = new LinkedHashMap<>();
  private final List<String> empty = new ArrayList<>();
  private final List<Op> success = new ArrayList<>();
  private final List<Op> failure = new ArrayList<>();

  /** Creates an empty transaction, which always succeeds. */
  public Txn() {}

  /** Creates a transaction that reads. */
  public static Txn read(Op... reads) {
    var txn = new Txn();
    for (Op read : reads) {
      txn.then(read);
    }
    return txn;
  }

  /**
   * Requires that a key was last written at a revision.
   *
   * @param modRevision the revision; 0 if the key must not exist
   */
  public Txn require(String key, long modRevision) {
    compares.put(key, modRevision);
    return this;
  }

  /** Requires that a key does not exist. */
  public Txn requireAbsent(String key) {
    return require(key, 0);
  }

  /** Requires that no key begins with a prefix. */
  public Txn requireNone(String prefix) {
    empty.add(prefix);
    return this;
  }

  /** Adds an operation for the case that all comparisons hold. */
  public Txn then(Op op) {
    success.add(op);
    return this;
  }

  /** Adds an operation for the case that a comparison does not hold. */
  public Txn otherwise(Op op) {
    failure.add(op);
    return this;
  }

  /** Returns whether there is no comparison, so that the transaction succeeds. */
  boolean isUnconditional() {
    return compares.isEmpty() && empty.isEmpty();
  }

  /** Returns the operations that are performed in one of the cases. */
  List<Op> operations(boolean succeeded) {
    return succeeded ? success : failure;
  }

  /** Returns the transaction as {@code TxnRequest} of etcd's API (rpc.proto). */
  ObjectNode toJson() {
    ObjectNode json = Json.object();
    ArrayNode compare = json.putArray("compare");
    compares.forEach((key, revision) -> addCompare(compare, key, revision));
    // Of a range without keys, etcd compares a key whose revision is 0 (applyCompare of apply.go).
    empty.forEach(it -> addCompare(compare, it, 0).put("range_end", Op.encode(Op.endOf(it))));
    add(success, json.putArray("success"));
    add(failure, json.putArray("failure"));
    return json;
  }

  private static ObjectNode addCompare(ArrayNode compare, String key, long revision) {
    return compare
        .addObject()
        .put("key", Op.encode(key))
        .put("target", "MOD")
        .put("result", "EQUAL")
        .put("mod_revision", String.valueOf(revision));
  }

  private static void add(List<Op> ops, ArrayNode array) {
    ops.forEach(op -> array.add(op.toJson()));
  }
}
