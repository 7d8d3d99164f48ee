// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import java.nio.file.Files;
import org.junit.jupiter.api.Test;

@KernelTest(commands = {"nft", "tc", "bridge"})
class HostSnapshotTest {
  /** Pairs of commands: the second one undoes the first. */
  private static final String[][] CHANGES = {
    {"ip link set v0 mtu 1400", "ip link set v0 mtu 1500"},
    {"ip link set v0 address 02:00:00:00:00:09", "ip link set v0 address 02:00:00:00:00:01"},
    {"ip link set p0 nomaster", "ip link set p0 master br0"},
    {"ip addr add 10.1.0.2/24 dev v0", "ip addr del 10.1.0.2/24 dev v0"},
    {"ip addr add fd01::2/64 dev v0 nodad", "ip addr del fd01::2/64 dev v0"},
    {"ip route add 10.2.0.0/16 dev v0", "ip route del 10.2.0.0/16 dev v0"},
    {"ip route add fd02::/64 dev v0 table 100", "ip route del fd02::/64 dev v0 table 100"},
    {"ip rule add from 10.3.0.1 table 100", "ip rule del from 10.3.0.1 table 100"},
    {"ip -6 rule add from fd03::1 table 100", "ip -6 rule del from fd03::1 table 100"},
    {"ip neigh add 10.1.0.9 lladdr 02:00:00:00:00:09 dev v0", "ip neigh del 10.1.0.9 dev v0"},
    {
      "bridge fdb add 02:00:00:00:00:08 dev p0 master static",
      "bridge fdb del 02:00:00:00:00:08 dev p0 master"
    },
    {"bridge link set dev p0 isolated on", "bridge link set dev p0 isolated off"},
    {"sysctl -qw net.ipv4.conf.v0.rp_filter=2", "sysctl -qw net.ipv4.conf.v0.rp_filter=0"},
    {
      "tc class change dev v0 parent 1: classid 1:1 htb rate 2mbit",
      "tc class change dev v0 parent 1: classid 1:1 htb rate 1mbit"
    },
    {
      "tc filter add dev v0 parent 1: prio 9 protocol ip u32 match ip dst 10.0.0.9 flowid 1:1",
      "tc filter del dev v0 parent 1: prio 9"
    },
    {"tc qdisc add dev p0 root tbf rate 1mbit burst 10k latency 9ms", "tc qdisc del dev p0 root"},
    {"nft add rule inet t c ip saddr 10.0.0.1 counter accept", "nft delete rule inet t c handle 4"},
  };

  private final NetNs netns;

  HostSnapshotTest(TestBed bed) throws Exception {
    netns = bed.netns();
    for (String command :
        new String[] {
          "ip link add v0 address 02:00:00:00:00:01 up type veth peer name p0",
          "ip link add br0 up type bridge",
          "ip link set p0 up master br0",
          "tc qdisc add dev v0 root handle 1: htb default 1",
          "tc class add dev v0 parent 1: classid 1:1 htb rate 1mbit",
          "nft add table inet t",
          "nft add chain inet t c",
          "nft add rule inet t c ip saddr 10.0.0.2 counter accept",
        }) {
      run(command);
    }
    Thread.sleep(100); // until the carrier is known
  }

  private void run(String command) throws Exception {
    TestBed.run(netns, command.split(" "));
  }

  @Test
  void eachChangeIsSeenUntilItIsUndone() throws Exception {
    HostSnapshot before = HostSnapshot.of(netns);
    for (String[] change : CHANGES) {
      run(change[0]);
      assertNotEquals("", before.diff(HostSnapshot.of(netns)), change[0]);
      run(change[1].replace("handle 4", "handle " + lastHandle()));
      HostSnapshot after = HostSnapshot.of(netns);
      assertEquals("", before.diff(after), change[1]);
      after.requireEqual(before);
    }
  }

  private String lastHandle() throws Exception {
    String rules = TestBed.run(netns, "nft", "-a", "list", "chain", "inet", "t", "c");
    return rules.replaceAll("(?s).*# handle (\\d+).*", "$1");
  }

  @Test
  void theOrderOfRulesMatters() throws Exception {
    run("nft add rule inet t c ip saddr 10.0.0.1 accept");
    HostSnapshot before = HostSnapshot.of(netns);
    run("nft delete rule inet t c handle " + lastHandle());
    run("nft insert rule inet t c ip saddr 10.0.0.1 accept");
    assertTrue(before.diff(HostSnapshot.of(netns)).startsWith("the order differs"));
  }

  @Test
  void randomNamesAreReplacedForComparisonsOfAttachments(TestHost host) throws Exception {
    NetNs container = host.container("a");
    TestBed.connect(host.netns(), "veth12345678", container, "eth0");
    HostSnapshot before = HostSnapshot.of(host.netns(), container);
    run(host, "ip link del veth12345678");
    TestBed.connect(host.netns(), "veth9abcdef0", container, "eth0");
    HostSnapshot after = HostSnapshot.of(host.netns(), container);
    assertNotEquals(before, after);
    assertEquals("", before.withoutRandomNames().diff(after.withoutRandomNames()));
  }

  private static void run(TestHost host, String command) throws Exception {
    TestBed.run(host.netns(), command.split(" "));
  }

  @Test
  void filesDifferByNameAndContent(TestBed bed) throws Exception {
    HostSnapshot empty = HostSnapshot.of(bed.directory());
    Files.writeString(bed.directory().resolve("file"), "a");
    HostSnapshot one = HostSnapshot.of(bed.directory());
    Files.writeString(bed.directory().resolve("file"), "b");
    assertEquals("+ file: a\n", empty.diff(one));
    assertEquals("- file: a\n+ file: b\n", one.diff(HostSnapshot.of(bed.directory())));
  }
}
