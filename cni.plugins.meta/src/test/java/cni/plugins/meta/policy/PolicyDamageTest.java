// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.support.NetNsSession;
import cni.policy.HostPolicies;
import cni.policy.PolicyDirectories;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What others do to the tables and to the data directory never opens a container, and the next
 * operation or a repair mends it.
 */
@KernelTest(commands = "nft")
class PolicyDamageTest {
  private static final String DENY =
      """
      { "name": "closed-db", "podSelector": { "matchLabels": { "app": "db" } },
        "policyTypes": ["Ingress"] }
      """;

  private final TestHost host;
  private PolicyHost policies;
  private Network network;
  private NetNs web;
  private NetNs db;

  PolicyDamageTest(TestHost host) {
    this.host = host;
  }

  @BeforeEach
  void attach() throws Exception {
    policies = new PolicyHost(host);
    web = host.container("web");
    db = host.container("db");
    policies.network("n", TestHost.DUAL_STACK.formatted(""));
    Files.writeString(policies.directories().policies().resolve("db.json"), DENY);
    network = policies.cni().network("n");
    network.add(PolicyHost.labelled(web, "app=web"));
    network.add(PolicyHost.labelled(db, "app=db"));
    host.awaitAddresses();
    assertTrue(Probe.ping(db, "10.50.0.2"));
    assertClosed();
  }

  @AfterEach
  void close() {
    policies.close();
  }

  private void assertClosed() throws Exception {
    assertFalse(pings(web, "10.50.0.3"));
  }

  private static boolean pings(NetNs from, String address) throws IOException {
    return TestBed.tryRun(from, "ping", "-n", "-c1", "-w1", address).status() == 0;
  }

  private void assertWhole() throws Exception {
    assertEquals(List.of(), difference(policies.directories()));
    network.check(PolicyHost.labelled(web, "app=web"));
    network.check(PolicyHost.labelled(db, "app=db"));
  }

  private List<String> difference(PolicyDirectories directories) throws CniException {
    try (NetNsSession session = policies.session()) {
      return new HostPolicies(directories, session, Deadline.none()).difference();
    }
  }

  private void repair() throws Exception {
    network.repair(TestHost.attachment(web).id());
    network.repair(TestHost.attachment(db).id());
  }

  private Path data() {
    return policies.directories().data();
  }

  private String ruleset() throws IOException {
    return TestBed.run(host.netns(), "nft", "list", "ruleset");
  }

  private void nft(String command) throws IOException {
    TestBed.run(host.netns(), "nft", command);
  }

  private void deleteAll() throws Exception {
    network.delete(TestHost.attachment(web));
    network.delete(TestHost.attachment(db));
    network.gc(Set.of());
    assertEquals("", ruleset());
  }

  @Test
  void repairRestoresWhatOthersHaveRemoved() throws Exception {
    for (String damage :
        List.of(
            "flush ruleset",
            "delete table bridge cni_policy",
            "delete table inet cni_policy",
            "flush chain inet cni_policy forward",
            "flush map inet cni_policy ingress4",
            "flush set bridge cni_policy ports",
            "add table inet cni_policy { flags dormant; }")) {
      nft(damage);
      assertThrows(
          CniException.class, () -> network.check(PolicyHost.labelled(db, "app=db")), damage);
      CniException e = assertThrows(CniException.class, network::status, damage);
      assertTrue(e.is(ErrorCode.NOT_AVAILABLE) && e.getMessage().contains("cni_policy"), damage);
      repair();
      network.status();
      assertWhole();
    }
    deleteAll();
  }

  @Test
  void nextAttachmentRestoresWhatOthersHaveFlushed() throws Exception {
    nft("flush ruleset");
    network.add(PolicyHost.labelled(host.container("other"), "app=other"));
    assertWhole();
  }

  @Test
  void repairRestoresTheSettingsOfTheBridge() throws Exception {
    TestBed.run(host.netns(), "sysctl", "-w", "net.bridge.bridge-nf-call-iptables=0");
    assertClosed();
    TestBed.run(
        host.netns(), "ip", "link", "set", "br0", "type", "bridge", "nf_call_iptables", "0");
    assertTrue(Probe.ping(web, "10.50.0.3"), "the test would prove nothing");
    assertThrows(CniException.class, () -> network.check(PolicyHost.labelled(db, "app=db")));
    repair();
    assertWhole();
  }

  @Test
  void repairRestoresPoliciesOnABridgeThatIsMadeAgain() throws Exception {
    TestBed.run(host.netns(), "ip", "link", "del", "br0");
    repair();
    host.awaitAddresses();
    assertWhole();
  }

  @Test
  void missingBridgeDoesNotPreventTheRepairOfOthers() throws Exception {
    NetNs second = host.container("second");
    policies.network(
        "m", TestHost.DUAL_STACK.formatted("").replace("br0", "br1").replace("50", "51"));
    Network other = policies.cni().network("m");
    other.add(PolicyHost.labelled(second, "app=db"));
    TestBed.run(host.netns(), "ip", "link", "del", "br1");
    nft("flush ruleset");
    repair();
    assertWhole();
    other.delete(TestHost.attachment(second));
    other.gc(Set.of());
    assertWhole(); // GC of one network leaves those of the other
    deleteAll();
  }

  @Test
  void renamedInterfaceIsClosed() throws Exception {
    String name =
        TestBed.run(host.netns(), "bridge", "link", "show")
            .lines()
            .toList()
            .getLast()
            .replaceFirst("^\\d+: ([^@:]+)[@:].*", "$1");
    TestBed.run(host.netns(), "ip", "link", "set", name, "down");
    TestBed.run(host.netns(), "ip", "link", "set", name, "name", "renamed0");
    TestBed.run(host.netns(), "ip", "link", "set", "renamed0", "up");
    assertClosed();
    assertFalse(pings(db, "10.50.0.2"));
    network.delete(TestHost.attachment(db));
    assertEquals(List.of(), difference(policies.directories()));
  }

  @Test
  void lostDataDirectoryOpensNothing() throws Exception {
    NetNs plain = host.container("plain");
    remove(data());
    network.add(PolicyHost.labelled(host.container("other"), "app=other"));
    assertClosed();
    assertFalse(pings(db, "10.50.0.2"));
    repair();
    assertWhole();
    remove(data());
    policies.apply("db.json", DENY);
    assertClosed();
    repair();
    assertWhole();
    remove(data());
    network.delete(TestHost.attachment(plain));
    network.gc(Set.of(TestHost.attachment(web).id(), TestHost.attachment(db).id()));
    assertClosed();
  }

  private static void remove(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  @Test
  void damagedFilesOpenNothingAndAreReplaced() throws Exception {
    NetNs other = host.container("other");
    String endpoint = "endpoints/n:" + TestHost.attachment(db).id().containerId() + ":eth0";
    for (String file : List.of("policies.json", "guards.json", endpoint, "changes")) {
      for (String content : List.of("", "[1]")) {
        Files.writeString(data().resolve(file), content);
        Files.writeString(data().resolve("changes"), "5"); // no process knows it
        network.add(PolicyHost.labelled(other, "app=other"));
        assertClosed();
        network.delete(TestHost.attachment(other));
        repair();
        assertWhole();
      }
    }
  }

  @Test
  void damagedFilesDoNotPreventDeletion() throws Exception {
    for (Path file : List.of(data().resolve("policies.json"), data().resolve("guards.json"))) {
      Files.writeString(file, "{");
    }
    try (Stream<Path> files = Files.list(data().resolve("endpoints"))) {
      for (Path file : files.toList()) {
        Files.writeString(file, "{");
      }
    }
    Files.createDirectory(data().resolve("endpoints/foreign"));
    Files.writeString(data().resolve("changes"), "-7");
    deleteAll();
    try (Stream<Path> files = Files.list(data().resolve("endpoints"))) {
      assertEquals(List.of(data().resolve("endpoints/foreign")), files.toList());
    }
  }

  /** A directory on a disk outlives the machine's interfaces, namespaces and rules. */
  @Test
  void attachmentsOfAnEarlierBootAreForgotten() throws Exception {
    assertTrue(ruleset().contains("closed-db"), "the test would prove nothing");
    nft("flush ruleset");
    Files.writeString(data().resolve("host"), "net:[1] 01234567-89ab-cdef-0123-456789abcdef");
    Files.writeString(data().resolve("changes"), "5"); // no process knows it
    Files.writeString(policies.directories().policies().resolve("db.json"), "[]");
    network.status();
    network.add(PolicyHost.labelled(host.container("other"), "app=db"));
    assertEquals(List.of(), difference(policies.directories()));
    assertFalse(ruleset().contains("closed-db"), "a policy of before the boot is in force");
    try (Stream<Path> files = Files.list(data().resolve("endpoints"))) {
      assertEquals(1, files.count());
    }
    deleteAll();
  }

  @Test
  void dataDirectoriesOfOneHostAreRefused() throws Exception {
    var second =
        new PolicyDirectories(
            policies.directories().policies(), host.directory().resolve("second"));
    host.network(
        "m",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("").replace("br0", "br1").replace("50", "51"),
        policies.policyPlugin().replace("/policy\"", "/second\""));
    NetNs other = host.container("other");
    CniException e =
        assertThrows(
            CniException.class,
            () -> policies.cni().network("m").add(PolicyHost.labelled(other, "app=db")));
    assertTrue(e.getMessage().contains(data().toString()), e.getMessage());
    assertTrue(e.getMessage().contains(second.data().toString()), e.getMessage());
    e = assertThrows(CniException.class, () -> policies.cni().network("m").status());
    assertTrue(e.is(ErrorCode.NOT_AVAILABLE), e.getMessage());
    policies.cni().network("m").delete(TestHost.attachment(other));
    policies.cni().network("m").gc(Set.of());
    try (NetNsSession session = policies.session()) {
      new HostPolicies(second, session, Deadline.none()).applyDirectory();
    }
    assertWhole();
    deleteAll();
    policies.cni().network("m").add(PolicyHost.labelled(other, "app=db"));
    assertEquals(List.of(), difference(second));
  }
}
