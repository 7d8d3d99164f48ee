// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is found of addresses of attachments. */
@KernelTest(commands = "ip")
class AddressExaminationsTest {
  private static String[] words(String command) {
    return command.split(" ", -1);
  }

  @Test
  void twoContainersHaveTheSameAddress(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      host.deleteReservations("n");
      NetNs b = host.container("b");
      examined.add("n", b);

      Finding found =
          examined.assertFirst(
              FindingKind.ADDRESS_DUPLICATE, "10.50.0.2 is the address of", " --args IP=10.50.0.3");
      assertEquals("eth0", found.attachment().orElseThrow().interfaceName());
      for (int i = 0; i < 2; i++) { // one for each address
        Finding next = examined.examine().findings().getFirst();
        examined.update(next);
      }
      host.awaitAddresses();
      assertTrue(
          examined.examine().findings().stream()
              .noneMatch(it -> it.kind() == FindingKind.ADDRESS_DUPLICATE));
    }
  }

  @Test
  void twoNetworksOfABridgeGiveAwayTheSameAddresses(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      host.network("m", "1.0.0", TestHost.DUAL_STACK.formatted(""));
      examined.add("m", host.container("b"));
      List<Finding> findings = examined.examine().findings();
      assertEquals(FindingKind.SUBNET_OVERLAP, findings.getFirst().kind());
      Finding duplicate =
          findings.stream()
              .filter(it -> it.kind() == FindingKind.ADDRESS_DUPLICATE)
              .findFirst()
              .orElseThrow();
      assertTrue(duplicate.remedy().startsWith("give network n a bridge and"));
      host.network("m", "1.0.0", TestHost.DUAL_STACK.formatted("").replace("50", "60"));
      assertTrue(
          examined.examine().findings().stream()
              .filter(it -> it.kind() == FindingKind.ADDRESS_DUPLICATE)
              .allMatch(it -> it.remedy().matches("cni update . --all --recreate; cni repair .")));
    }
  }

  @Test
  void hostHasAnAddressOfAContainer(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("ip addr add 10.50.0.2/32 dev lo");

      examined.assertFirst(
          FindingKind.ADDRESS_DUPLICATE, "the host's lo", "ip addr del 10.50.0.2/32 dev lo");
    }
  }

  @Test
  void duplicateAddressDetectionFailed(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      NetNs a = host.namespaces().getLast();
      TestBed.run(a, words("ip addr del fd50::2/64 dev eth0"));
      examined.run("ip addr add fd50::2/64 dev br0 nodad");
      TestBed.run(a, words("sysctl -qw net.ipv6.conf.eth0.accept_dad=1"));
      TestBed.run(a, words("sysctl -qw net.ipv6.conf.eth0.dad_transmits=1"));
      TestBed.run(a, words("ip addr add fd50::2/64 dev eth0"));
      awaitDuplicate(a);
      examined.run("ip addr del fd50::2/64 dev br0");

      examined.assertFirst(FindingKind.DAD_FAILED, "fd50::2 dadfailed", "find the other station");
    }
  }

  private static void awaitDuplicate(NetNs netns) throws Exception {
    for (int i = 0; i < 600; i++) {
      if (!TestBed.run(netns, words("ip -6 -o addr show dev eth0 dadfailed")).isBlank()) {
        return;
      }
      Thread.sleep(50);
    }
    throw new AssertionError("the duplicate is not detected");
  }

  @Test
  void addressStaysTentative(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      NetNs a = host.namespaces().getLast();
      TestBed.run(a, words("ip addr del fd50::2/64 dev eth0"));
      TestBed.run(a, words("sysctl -qw net.ipv6.conf.eth0.accept_dad=1"));
      TestBed.run(a, words("sysctl -qw net.ipv6.conf.eth0.dad_transmits=1000"));
      TestBed.run(a, words("ip addr add fd50::2/64 dev eth0"));

      examined.assertFirst(FindingKind.ADDRESS_TENTATIVE, "fd50::2 tentative", "carrier");
    }
  }
}
