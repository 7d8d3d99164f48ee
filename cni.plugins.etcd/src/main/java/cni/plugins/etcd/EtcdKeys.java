// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The keys of a store. Names of networks, nodes, containers and interfaces contain no slash.
 *
 * @param prefix the configured prefix, without a slash at its end
 */
record EtcdKeys(String prefix) {
  /** Returns the error (code 6) for a key that no node of this release writes. */
  static CniException invalid(String key, String why, @Nullable Throwable cause) {
    return new CniException(
        ErrorCode.DECODING_FAILURE,
        "the key %s in etcd is invalid: %s; delete it, or use another ipam.prefix"
            .formatted(Json.quote(key), why),
        cause);
  }

  /**
   * Returns the parts of a key.
   *
   * @param prefix what the key begins with, which is left out
   * @throws CniException code 6 if there is another number of parts, or an empty one
   */
  static String[] split(String key, String prefix, int count) throws CniException {
    String[] parts = key.substring(prefix.length()).split("/", -1);
    if (parts.length != count || List.of(parts).contains("")) {
      throw invalid(key, "it must have %d parts after %s".formatted(count, prefix), null);
    }
    return parts;
  }

  /** The version of the schema and the state of the whole store. */
  String schema() {
    return prefix + "/schema";
  }

  /** The registration of a node. */
  String node(String node) {
    return nodes() + node;
  }

  String nodes() {
    return prefix + "/nodes/";
  }

  /** Exists as long as the lease that a node's resident host has for a network. */
  String alive(String node, String network) {
    return alive(node) + network;
  }

  /** Keys exist as long as a node has a resident host. */
  String alive(String node) {
    return allAlive() + node + "/";
  }

  String allAlive() {
    return prefix + "/alive/";
  }

  /** Names the node that looks for lost nodes; ends with its lease. */
  String reaper() {
    return prefix + "/reaper";
  }

  /** The block sizes of a network. */
  String network(String network) {
    return networks() + network;
  }

  String networks() {
    return prefix + "/networks/";
  }

  /** The owner of a block; its absence lets a node claim the block. */
  String claim(String network, BlockId block) {
    return claims(network) + block;
  }

  String claims(String network) {
    return prefix + "/claims/" + network + "/";
  }

  /** The state of a block. */
  String block(String network, String owner, BlockId block) {
    return blocks(network, owner) + block;
  }

  /** The blocks that a node has claimed. */
  String blocks(String network, String owner) {
    return blocks(network) + owner + "/";
  }

  String blocks(String network) {
    return prefix + "/blocks/" + network + "/";
  }

  /** The addresses of an attachment. */
  String handle(String network, String node, AttachmentId attachment) {
    return handles(network, node) + attachment.containerId() + "/" + attachment.interfaceName();
  }

  /** The attachments of a node. */
  String handles(String network, String node) {
    return handles(network) + node + "/";
  }

  String handles(String network) {
    return prefix + "/handles/" + network + "/";
  }

  /** The addresses that are kept for a name, which may contain slashes. */
  String sticky(String network, String name) {
    return stickies(network) + name;
  }

  String stickies(String network) {
    return prefix + "/sticky/" + network + "/";
  }
}
