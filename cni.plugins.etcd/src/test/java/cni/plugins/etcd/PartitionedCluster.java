// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.TestBed;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * An {@link EtcdCluster} of three members whose network can be cut. Each member and the clients
 * have a network namespace; a bridge in a further one connects them:
 *
 * <pre>
 *   client 10.99.0.1    m0 10.99.0.10    m1 10.99.0.11    m2 10.99.0.12
 *        |                   |                |                |
 *        +---- bridge br0 in the namespace "switch" -----------+
 * </pre>
 *
 * <p>Clients run as processes of {@link #clientCommand}. Needs root and the commands of {@link
 * RequiresEtcd}, ip and nft.
 */
final class PartitionedCluster implements AutoCloseable {
  private static final int MEMBERS = 3;
  private static final int CLIENT_PORT = 2379;
  private static final int PEER_PORT = 2380;
  private static final int PREFIX_LENGTH = 24;
  private static final String CLIENT_ADDRESS = "10.99.0.1";
  private static final String LINK = "eth0";
  private static final String BRIDGE = "br0";

  /** The nftables table of {@link #isolate} in a member's namespace. */
  private static final String TABLE = "isolation";

  private final List<NetNs> namespaces = new ArrayList<>();
  private final NetNs bridge;
  private final List<String> clientCommand;
  private final EtcdCluster cluster;

  /**
   * Starts the members and waits until they are healthy.
   *
   * @param bed contains the namespaces and deletes them; its host is the namespace of the clients
   * @param options the options of the cluster, with three members
   */
  PartitionedCluster(TestBed bed, EtcdClusterOptions options)
      throws IOException, InterruptedException {
    if (options.members() != MEMBERS) {
      throw new IllegalArgumentException(options.members() + " members");
    }
    bridge = bed.namespace("switch");
    TestBed.run(bridge, "ip", "link", "add", BRIDGE, "type", "bridge");
    TestBed.run(bridge, "ip", "link", "set", BRIDGE, "up");
    connect(bed.netns(), "client", CLIENT_ADDRESS);
    clientCommand = execPrefix(bed.netns());
    List<EtcdMember.Location> locations = new ArrayList<>();
    for (int i = 0; i < MEMBERS; i++) {
      NetNs netns = bed.namespace("m" + i);
      namespaces.add(netns);
      TestBed.run(netns, "ip", "link", "set", "lo", "up");
      connect(netns, port(i), address(i));
      locations.add(new EtcdMember.Location(address(i), CLIENT_PORT, PEER_PORT, execPrefix(netns)));
    }
    cluster = EtcdCluster.start(options, locations, clientCommand);
  }

  private static List<String> execPrefix(NetNs netns) {
    return List.of("ip", "netns", "exec", TestBed.nameOf(netns));
  }

  private static String address(int index) {
    return "10.99.0." + (10 + index);
  }

  /** Returns the name of the bridge's port to a member. */
  private static String port(int index) {
    return "m" + index;
  }

  private void connect(NetNs netns, String port, String address) throws IOException {
    TestBed.connect(bridge, port, netns, LINK);
    TestBed.addAddress(netns, LINK, address, PREFIX_LENGTH);
    TestBed.run(bridge, "ip", "link", "set", port, "master", BRIDGE);
  }

  /** Returns the cluster. Its etcdctl runs in the namespace of the clients. */
  EtcdCluster cluster() {
    return cluster;
  }

  /** Returns the start of the command line of a client, which runs it in its namespace. */
  List<String> clientCommand() {
    return clientCommand;
  }

  /**
   * Cuts a member from the other members and from clients: packets in both directions are lost
   * without an error, as when a switch fails.
   */
  void partition(int index) throws IOException {
    TestBed.run(bridge, "ip", "link", "set", port(index), "nomaster");
    cluster.member(index).setReachable(false);
  }

  /** Cuts a member from the other members alone; clients still reach it. */
  void isolate(int index) throws IOException {
    String others =
        String.join(
            ", ",
            IntStream.range(0, MEMBERS)
                .filter(other -> other != index)
                .mapToObj(PartitionedCluster::address)
                .toList());
    String ruleset =
        """
        table ip %1$s {
          chain input { type filter hook input priority 0; ip saddr { %2$s } drop; }
          chain output { type filter hook output priority 0; ip daddr { %2$s } drop; }
        }
        """
            .formatted(TABLE, others);
    TestBed.run(namespaces.get(index), "nft", ruleset);
    cluster.member(index).setReachable(false);
  }

  /** Reverts {@link #partition} and {@link #isolate} of a member. */
  void heal(int index) throws IOException {
    TestBed.run(bridge, "ip", "link", "set", port(index), "master", BRIDGE);
    // Deleting a table that does not exist is an error, unless it is added before.
    TestBed.run(
        namespaces.get(index), "nft", "add table ip %1$s; delete table ip %1$s".formatted(TABLE));
    cluster.member(index).setReachable(true);
  }

  /** Ends the members; the namespaces are deleted with the test bed. */
  @Override
  public void close() throws IOException {
    cluster.close();
  }
}
