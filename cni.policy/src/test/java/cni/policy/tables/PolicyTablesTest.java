// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.Transaction;
import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.Policy;
import cni.policy.PolicyState;
import cni.policy.RateLimit;
import cni.policy.file.PolicyFiles;
import cni.policy.file.PolicyReader;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The tables in the kernel. */
@KernelTest(commands = "nft")
class PolicyTablesTest {
  private static final PolicyState GUARDED =
      new PolicyState(
          List.of(),
          Map.of(),
          Set.of(new PolicyState.Guard(Cidr.parse("10.9.0.0/24"), Optional.of("br0"))),
          Set.of());

  private TestBed bed;
  private NftablesSocket nftables;
  private PolicyTables tables;

  @BeforeEach
  void open() throws IOException {
    bed = new TestBed();
    nftables = NftablesSocket.open(bed.netns());
    tables = new PolicyTables(nftables);
  }

  @AfterEach
  void close() throws IOException {
    nftables.close();
    bed.close();
  }

  private String nft(String... command) throws IOException {
    List<String> all = new ArrayList<>(List.of("nft"));
    all.addAll(List.of(command));
    return TestBed.run(bed.netns(), all.toArray(String[]::new));
  }

  private String ruleset() throws IOException {
    return nft("list ruleset");
  }

  @Test
  void eachChangeLeadsToTheContentOfItsState() throws Exception {
    for (int seed = 0; seed < 4; seed++) {
      var random = new RandomState(seed);
      PolicyState state = GUARDED;
      tables.apply(PolicyState.EMPTY, state);
      for (int step = 0; step < 40; step++) {
        PolicyState next = random.change(state);
        tables.apply(state, next);
        assertEquals(List.of(), tables.difference(next), "seed " + seed + " step " + step);
        state = next;
      }
      for (Endpoint endpoint : state.endpoints().values()) {
        assertTrue(tables.isInForce(state, endpoint), endpoint.toString());
      }
      tables.remove();
      assertEquals("", ruleset());
    }
  }

  @Test
  void kernelStateIsIndependentOfTheOrderOfChanges() throws Exception {
    PolicyState state = new RandomState(7).state(6, 9);
    List<Endpoint> endpoints = new ArrayList<>(state.endpoints().values());
    List<Policy> policies = new ArrayList<>(state.policies());
    List<String> rulesets = new ArrayList<>();
    for (int order = 0; order < 3; order++) {
      Collections.shuffle(endpoints, new Random(order));
      Collections.shuffle(policies, new Random(order));
      PolicyState present = PolicyState.EMPTY;
      for (int i = 0; i < endpoints.size(); i++) {
        PolicyState next = RandomState.with(present, endpoints.get(i));
        next = i < policies.size() ? RandomState.with(next, policies.get(i)) : next;
        tables.apply(present, next);
        present = next;
      }
      rulesets.add(
          ruleset()
              .lines()
              .map(it -> it.replaceAll("elements =|[\\s,{}]", ""))
              .sorted()
              .collect(Collectors.joining("\n")));
      tables.remove();
    }
    assertEquals(rulesets.get(0), rulesets.get(1));
    assertEquals(rulesets.get(0), rulesets.get(2));
  }

  @Test
  void baseChainsStayWhatTheyAre() throws Exception {
    var random = new RandomState(3);
    PolicyState state = random.state(5, 6);
    tables.apply(PolicyState.EMPTY, state);
    String before = baseChains();
    for (int step = 0; step < 10; step++) {
      PolicyState next = random.change(state);
      tables.apply(state, next);
      state = next;
    }
    tables.synchronize(random.state(6, 7));
    assertEquals(before, baseChains());
  }

  /** The base chains with their handles and those of their rules. */
  private String baseChains() throws IOException {
    var all = new StringBuilder();
    for (String table : List.of("inet cni_policy", "bridge cni_policy")) {
      for (String chain : List.of("prerouting", "input", "forward", "postrouting")) {
        all.append(nft("-a", "list chain " + table + " " + chain));
      }
    }
    return all.toString().replaceAll("packets \\d+ bytes \\d+", "");
  }

  @Test
  void flushedTablesAreRefusedAndSynchronized() throws Exception {
    var random = new RandomState(5);
    PolicyState state = random.state(5, 6);
    tables.apply(PolicyState.EMPTY, state);
    Endpoint endpoint = state.endpoints().values().iterator().next();
    for (String damage :
        List.of(
            "flush ruleset",
            "delete table bridge cni_policy",
            "flush table inet cni_policy",
            "flush chain bridge cni_policy prerouting",
            "add table inet cni_policy { flags dormant; }",
            "add rule inet cni_policy forward accept")) {
      nft(damage);
      assertFalse(tables.isInForce(state, endpoint), damage);
      assertFalse(tables.difference(state).isEmpty(), damage);
      tables.synchronize(state);
      assertEquals(List.of(), tables.difference(state), damage);
      assertTrue(tables.isInForce(state, endpoint), damage);
    }
    nft("flush ruleset");
    PolicyState next = RandomState.with(state, random.endpoint(8));
    NetlinkException e = assertThrows(NetlinkException.class, () -> tables.apply(state, next));
    assertTrue(e.is(Errno.ENOENT), e.toString());
    assertEquals("", ruleset());
  }

  @Test
  void differenceNamesTheElement() throws Exception {
    PolicyState state = RandomState.with(GUARDED, new RandomState(0).endpoint(1));
    tables.apply(PolicyState.EMPTY, state);
    nft("delete element bridge cni_policy sources4 { veth1 . 10.9.0.3 }");
    nft("add element inet cni_policy known { stranger }");
    nft("add chain inet cni_policy mine");
    assertEquals(
        List.of(
            "element inet cni_policy known { stranger }: unexpected",
            "chain inet cni_policy mine: unexpected",
            "element bridge cni_policy sources4 { veth1 . 10.9.0.3 }: missing"),
        tables.difference(state));
    assertFalse(tables.isInForce(state, state.endpoints().values().iterator().next()));
  }

  /** Objects that the synchronization does not know keep chains and sets busy. */
  @Test
  void whatOthersAddedToTheTablesDoesNotPreventSynchronization() throws Exception {
    PolicyState state = new RandomState(2).state(5, 6);
    tables.apply(PolicyState.EMPTY, state);
    nft("add counter inet cni_policy mine");
    nft("add rule inet cni_policy forward counter name mine");
    nft("add map inet cni_policy others { type ipv4_addr : verdict; }");
    nft("add chain inet cni_policy target");
    nft("add element inet cni_policy others { 192.0.2.1 : jump target }");
    tables.synchronize(state);
    assertEquals(List.of(), tables.difference(state));
  }

  @Test
  void cutFlowsOutliveChangesAndSynchronization() throws Exception {
    var random = new RandomState(4);
    PolicyState state = random.state(4, 5);
    tables.apply(PolicyState.EMPTY, state);
    SetElement flow =
        SetElement.of(
            Keys.join(
                Bytes.of(InetAddress.ofLiteral("192.0.2.1").getAddress()),
                Bytes.of(InetAddress.ofLiteral("10.9.0.2").getAddress()),
                Bytes.of((byte) 6),
                Bytes.be16(40000),
                Bytes.be16(80)));
    nftables.commit(
        new Transaction()
            .add(InetTable.TABLE, InetTable.CUT_4, List.of(flow), Duration.ofMinutes(20)));
    PolicyState next = random.change(state);
    tables.apply(state, next);
    tables.synchronize(state);
    assertTrue(
        nft("list set inet cni_policy cut4").contains("192.0.2.1 . 10.9.0.2 . tcp . 40000 . 80"));
    assertEquals(List.of(), tables.difference(state));
  }

  @Test
  void theLargestLimitsThatTheReaderAllowsAreThoseOfTheKernel() throws Exception {
    apply("{\"ingressRate\": 147572904008}");
    apply("{\"egressRate\": 140000000000, \"egressBurst\": 7573952584}");
    apply("{\"egressRate\": 113214214225, \"egressBurst\": 34359738359}");
    var above = new RateLimit(147_573_952_592L, RateLimit.MIN_BURST);
    Policy policy = policy("{\"ingressRate\": 8}");
    Policy impossible =
        new Policy("all", policy.selector(), Set.of(), Map.of(), Map.of(Direction.INGRESS, above));
    PolicyState state = RandomState.with(GUARDED, new RandomState(0).endpoint(1));
    assertThrows(
        NetlinkException.class,
        () -> tables.apply(PolicyState.EMPTY, state.withPolicies(List.of(impossible))));
  }

  private void apply(String bandwidth) throws Exception {
    PolicyState state = RandomState.with(GUARDED, new RandomState(0).endpoint(1));
    PolicyState limited = state.withPolicies(List.of(policy(bandwidth)));
    tables.apply(PolicyState.EMPTY, limited);
    assertEquals(List.of(), tables.difference(limited));
  }

  private static Policy policy(String bandwidth) {
    String text = "{\"name\": \"all\", \"podSelector\": {}, \"bandwidth\": " + bandwidth + "}";
    PolicyFiles read = PolicyReader.read(text.getBytes(UTF_8), Path.of("all.json"));
    assertEquals(List.of(), read.problems());
    return read.policies().getFirst();
  }

  /** As after the loss of what the plugin has written down. */
  @Test
  void firstStateReplacesTablesOfBefore() throws Exception {
    var random = new RandomState(6);
    tables.apply(PolicyState.EMPTY, random.state(4, 5));
    PolicyState state = random.state(3, 6);
    new PolicyTables(nftables).apply(PolicyState.EMPTY, state);
    assertEquals(List.of(), tables.difference(state));
  }

  @Test
  void tablesGoWithTheLastGuard() throws Exception {
    PolicyState state = RandomState.with(GUARDED, new RandomState(0).endpoint(1));
    tables.apply(PolicyState.EMPTY, state);
    tables.apply(state, GUARDED);
    assertEquals(List.of(), tables.difference(GUARDED));
    assertTrue(ruleset().contains("10.9.0.0/24"));
    tables.apply(GUARDED, PolicyState.EMPTY);
    assertEquals("", ruleset());
    tables.synchronize(PolicyState.EMPTY);
    assertEquals("", ruleset());
  }
}
