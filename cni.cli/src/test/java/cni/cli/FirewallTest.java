package cni.cli;

import static cni.cli.TestHost.OUTSIDE_V4;
import static cni.cli.TestHost.OUTSIDE_V6;
import static cni.cli.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.netlink.ffm.NetNs;
import cni.netlink.lab.KernelTest;
import cni.netlink.lab.Lab;
import cni.runtime.Cni;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The firewall plugin on hosts that drop what they do not know, whoever does the dropping. */
@KernelTest(
    commands = {"nft", "iptables"},
    reference = true)
class FirewallTest {
  private TestHost host;
  private NetNs a;
  private NetNs b;
  private NetNs outside;

  @BeforeEach
  void open() throws IOException {
    host = new TestHost();
    a = host.container("a");
    b = host.container("b");
    outside = host.outside();
    // Now there is a way to containers, so that only the firewall keeps anybody out.
    Lab.run(outside, "ip", "route", "add", "10.50.0.0/16", "via", TestHost.HOST_V4);
    Lab.run(outside, "ip", "route", "add", "fd50::/16", "via", TestHost.HOST_V6);
  }

  @AfterEach
  void close() throws IOException {
    host.close();
  }

  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  private void network(String name, String bridge, int number, String options) throws IOException {
    host.network(
        name,
        "1.1.0",
        TestHost.DUAL_STACK
            .formatted("\"mtu\": 1500,")
            .replace("br0", bridge)
            .replace("0.50.", "0.%d.".formatted(number))
            .replace("fd50", "fd" + number),
        "{ \"type\": \"firewall\"" + options + " }");
  }

  private void dropBy(String owner) throws IOException {
    switch (owner) {
      case "iptables" -> {
        Lab.run(host.netns(), "iptables", "-P", "FORWARD", "DROP");
        Lab.run(host.netns(), "ip6tables", "-P", "FORWARD", "DROP");
      }
      case "nftables" ->
          Lab.run(
              host.netns(),
              "nft",
              "table inet guard { chain passing { type filter hook forward priority 10; policy drop;"
                  + " tcp dport 22 counter accept; }; }");
      case "a last rule" ->
          Lab.run(
              host.netns(),
              "nft",
              "table ip guard { chain passing { type filter hook forward priority 0; tcp dport 22 accept;"
                  + " counter reject with icmp type admin-prohibited; }; };"
                  + "table ip6 guard { chain passing { type filter hook forward priority 0; policy drop;"
                  + " }; }");
      default -> throw new IllegalArgumentException(owner);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"iptables", "nftables", "a last rule"})
  void theContainersPacketsPassAndOthersDoNot(String owner) throws Exception {
    dropBy(owner);
    network("n", "br0", 50, "");
    String before = HostState.ruleset(host.netns());
    cni().network("n").add(attachment(a));
    host.awaitAddresses();
    assertTrue(Lab.pings(a, OUTSIDE_V4) && Lab.pings(a, OUTSIDE_V6));
    assertFalse(Lab.pings(outside, "10.50.0.2") || Lab.pings(outside, "fd50::2"));
    cni().network("n").check(attachment(a));
    String with = HostState.ruleset(host.netns());
    cni().network("n").delete(attachment(a));
    cni().network("n").delete(attachment(a));
    String after = HostState.ruleset(host.netns());
    assertFalse(after.contains("10.50.0.2") || after.contains("fd50::2"), after);
    assertTrue(with.contains("10.50.0.2") && with.contains("fd50::2"), with);
    assertTrue(before.lines().allMatch(after::contains), after);

    cni().network("n").add(attachment(a)); // nothing is there twice
    String again = HostState.ruleset(host.netns()).replace("10.50.0.3", "10.50.0.2");
    assertEquals(with, again.replace("fd50::3", "fd50::2"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"iptables", "nftables"})
  void whatIsMissingIsToldAndWhatIsStaleCollected(String owner) throws Exception {
    dropBy(owner);
    network("n", "br0", 50, ", \"backend\": \"" + owner + "\"");
    cni().network("n").add(attachment(a));
    cni().network("n").add(attachment(b));
    host.dropResults();
    cni().network("n").collect(Set.of(attachment(b).id()));
    String rules = HostState.ruleset(host.netns());
    assertFalse(rules.contains("10.50.0.2") || rules.contains("fd50::2"), rules);
    host.awaitAddresses();
    assertTrue(Lab.pings(b, OUTSIDE_V4) && Lab.pings(b, OUTSIDE_V6));
    Lab.run(b, "ip", "link", "delete", "eth0");
    host.forgetReservations("n");
    cni().network("n").add(attachment(b));
    String table = owner.equals("iptables") ? "ip filter" : "inet guard";
    Lab.run(host.netns(), "nft", "flush chain " + table + " CNI-FORWARD");
    CniException e =
        assertThrows(CniException.class, () -> cni().network("n").check(attachment(b)));
    assertTrue(String.valueOf(e.getMessage()).contains("CNI-FORWARD"), e::getMessage);
    cni().network("n").delete(attachment(b));
  }

  @Test
  void anAddressThatHadRulesBeforeKeepsThemWhenThoseAreCollected() throws Exception {
    dropBy("iptables");
    network("n", "br0", 50, "");
    cni().network("n").add(attachment(a));
    host.forgetReservations("n");
    host.dropResults();
    Lab.run(a, "ip", "link", "delete", "eth0"); // a crash has left the rules of 10.50.0.2
    cni().network("n").add(attachment(b)); // which gets the same address
    cni().network("n").collect(Set.of(attachment(b).id()));
    cni().network("n").check(attachment(b));
    host.awaitAddresses();
    assertTrue(Lab.pings(b, OUTSIDE_V4) && Lab.pings(b, OUTSIDE_V6));
  }

  @Test
  void theAdministratorsRulesComeFirst() throws Exception {
    dropBy("nftables");
    dropBy("iptables");
    network("n", "br0", 50, ", \"iptablesAdminChainName\": \"MY-RULES\"");
    cni().network("n").add(attachment(a));
    assertTrue(Lab.pings(a, OUTSIDE_V4));
    Lab.run(host.netns(), "iptables", "-A", "MY-RULES", "-s", "10.50.0.2", "-j", "DROP");
    assertFalse(Lab.pings(a, OUTSIDE_V4));
    Lab.run(host.netns(), "iptables", "-F", "MY-RULES");
    Lab.run(host.netns(), "nft", "add rule inet guard MY-RULES ip saddr 10.50.0.2 drop");
    assertFalse(Lab.pings(a, OUTSIDE_V4));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "open", "same-bridge", "isolated"})
  void rulesAreThoseOfTheReference(String policy) throws Exception {
    network("n", "br0", 50, ", \"ingressPolicy\": \"" + policy + "\"");
    cni("firewall").network("n").add(attachment(a));
    String theirs = HostState.ruleset(host.netns()) + iptables();
    cni().network("n").check(attachment(a));
    cni().network("n").delete(attachment(a)); // what they made we delete
    String rest = HostState.ruleset(host.netns());
    assertFalse(rest.contains("10.50.0.2") || rest.contains("fd50::2"), rest);
    Lab.run(host.netns(), "nft", "flush", "ruleset");
    host.forgetReservations("n");

    cni().network("n").add(attachment(a));
    assertEquals(theirs, HostState.ruleset(host.netns()) + iptables());
    cni("firewall").network("n").check(attachment(a));
    cni("firewall").network("n").delete(attachment(a)); // and the other way round
    rest = HostState.ruleset(host.netns());
    assertFalse(rest.contains("10.50.0.2") || rest.contains("fd50::2"), rest);
  }

  private String iptables() throws IOException {
    return Lab.run(host.netns(), "iptables", "-S") + Lab.run(host.netns(), "ip6tables", "-S");
  }

  @ParameterizedTest
  @ValueSource(strings = {"open", "same-bridge", "isolated"})
  void bridgesAreKeptApart(String policy) throws Exception {
    bridgesAreKeptApart(policy, "");
  }

  @ParameterizedTest
  @ValueSource(strings = {"open", "same-bridge", "isolated"})
  void bridgesAreKeptApartWithoutIptables(String policy) throws Exception {
    bridgesAreKeptApart(policy, ", \"backend\": \"nftables\"");
    assertFalse(Lab.run(host.netns(), "nft", "list", "tables").contains("filter"));
  }

  private void bridgesAreKeptApart(String policy, String more) throws Exception {
    String options = ", \"ingressPolicy\": \"" + policy + "\"" + more;
    network("n", "br0", 50, options);
    network("m", "br1", 51, options);
    NetNs c = host.container("c");
    cni().network("n").add(attachment(a));
    cni().network("n").add(attachment(b));
    cni().network("m").add(attachment(c));
    host.awaitAddresses();
    // Only a host that shows bridged frames to its rules can tell containers of one bridge apart.
    boolean bridged =
        Lab.attempt(host.netns(), "sysctl", "-n", "net.bridge.bridge-nf-call-iptables")
            .text()
            .strip()
            .equals("1");
    for (List<String> addresses :
        List.of(List.of("10.50.0.3", "10.51.0.2"), List.of("fd50::3", "fd51::2"))) {
      boolean apart = policy.equals("isolated") && bridged;
      assertEquals(!apart, Lab.pings(a, addresses.getFirst()), addresses.getFirst());
      assertEquals(policy.equals("open"), Lab.pings(a, addresses.getLast()), addresses.getLast());
    }
    assertTrue(Lab.pings(a, OUTSIDE_V4) && Lab.pings(a, OUTSIDE_V6));
    cni().network("n").check(attachment(a));
  }

  @Test
  void aTableThatIsNotInForceIsLeftAlone() throws Exception {
    Lab.run(
        host.netns(),
        "nft",
        "table inet dead { flags dormant; chain passing { type filter hook forward priority 0; policy"
            + " drop; }; }");
    network("n", "br0", 50, "");
    cni().network("n").add(attachment(a));
    String table = Lab.run(host.netns(), "nft", "list", "table", "inet", "dead");
    assertTrue(table.contains("dormant"), table);
    assertFalse(table.contains("CNI"), table);
    assertTrue(Lab.pings(a, OUTSIDE_V4));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"backend\": \"pf\"",
        "\"ingressPolicy\": \"closed\"",
        "\"iptablesAdminChainName\": \"a b\"",
      })
  void whatMakesNoSenseIsRefused(String option) throws Exception {
    network("n", "br0", 50, ", " + option);
    CniException e = assertThrows(CniException.class, () -> cni().network("n").add(attachment(a)));
    String key = option.substring(1, option.indexOf('"', 1));
    assertTrue(String.valueOf(e.getMessage()).contains(key), e::getMessage);
    host.requireNothingLeft("n", a);
  }

  @Test
  void firewalldThatDoesNotRunIsAClearError() throws Exception {
    network("n", "br0", 50, ", \"backend\": \"firewalld\"");
    CniException e = assertThrows(CniException.class, () -> cni().network("n").status());
    assertTrue(String.valueOf(e.getMessage()).contains("firewalld"), e::getMessage);
  }
}
