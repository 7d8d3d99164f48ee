// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NullChecks;
import java.math.BigInteger;
import java.net.InetAddress;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * The addresses that an ipam plugin has assigned.
 *
 * @param pools one for each range set
 * @param blocks the parts of the ranges that nodes have claimed; none if a plugin has no blocks
 * @param nodes the nodes of the cluster; none if the addresses belong to this host alone
 * @param holders who holds addresses
 * @param problems what an operator should know, a sentence each
 */
public record AddressReport(
    List<Pool> pools,
    List<Block> blocks,
    List<Node> nodes,
    List<Holder> holders,
    List<String> problems) {
  /** Copies the lists. */
  public AddressReport {
    pools = NullChecks.copyOf(pools, "pools");
    blocks = NullChecks.copyOf(blocks, "blocks");
    nodes = NullChecks.copyOf(nodes, "nodes");
    holders = NullChecks.copyOf(holders, "holders");
    problems = NullChecks.copyOf(problems, "problems");
  }

  /**
   * A range set.
   *
   * @param ranges the ranges, such as {@code 10.1.0.1-10.1.0.254}
   * @param size the number of addresses that can be assigned, and of reserved ones that could not
   *     be assigned again
   * @param used the number of addresses that are reserved
   */
  public record Pool(String ranges, BigInteger size, BigInteger used) {
    /** Checks that no argument is null. */
    public Pool {
      requireNonNull(ranges, "ranges");
      requireNonNull(size, "size");
      requireNonNull(used, "used");
    }
  }

  /**
   * A part of the ranges that a node has claimed.
   *
   * @param network the block's addresses
   * @param node the name of the node
   * @param size the number of addresses that can be assigned
   * @param used the number of addresses that are reserved, also by other nodes
   */
  public record Block(Cidr network, String node, long size, long used) {
    /** Checks that no argument is null. */
    public Block {
      requireNonNull(network, "network");
      requireNonNull(node, "node");
    }
  }

  /** Whether a node runs. */
  public enum Liveness {
    /** A resident host of the node is in contact with the store. */
    ALIVE,
    /** The node's resident host has lost contact, or was killed. */
    LOST,
    /** The node has no resident host, or it was stopped in order: nothing is known of it. */
    UNKNOWN
  }

  /**
   * A node of the cluster.
   *
   * @param name the node's name
   * @param liveness whether it runs
   */
  public record Node(String name, Liveness liveness) {
    /** Checks that no argument is null. */
    public Node {
      requireNonNull(name, "name");
      requireNonNull(liveness, "liveness");
    }
  }

  /**
   * What holds addresses: an attachment, or a name that they are kept for.
   *
   * @param attachment the attachment; absent if the addresses are kept for a name
   * @param name the name that the addresses are kept for after the attachment, or the text of a
   *     reservation that names no attachment; absent if there is none
   * @param node the node that the attachment is on; absent if the addresses belong to this host
   *     alone, or are kept for a name
   * @param addresses the addresses
   * @param since when they were reserved, by the clock of the node; absent if that is not known
   */
  public record Holder(
      Optional<AttachmentId> attachment,
      Optional<String> name,
      Optional<String> node,
      List<InetAddress> addresses,
      Optional<Instant> since) {
    /** Copies the list. */
    public Holder {
      requireNonNull(attachment, "attachment");
      requireNonNull(name, "name");
      requireNonNull(node, "node");
      addresses = NullChecks.copyOf(addresses, "addresses");
      requireNonNull(since, "since");
    }
  }
}
