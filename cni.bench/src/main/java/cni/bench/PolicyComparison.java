// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.api.Attachment;
import cni.bench.ComparisonTable.Goal;
import cni.netlink.ffm.netns.NetNs;
import cni.policy.HostPolicies;
import cni.runtime.Network;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** Measures changes of policies on a host with many attachments, and what ADD costs more there. */
final class PolicyComparison {
  private static final int ATTACHMENTS = 1_000;
  private static final int POLICIES = 100;

  /** The policies that select the container that is added. */
  private static final int SELECTING = 20;

  private static final int APPS = 40;
  private static final int TIERS = 100;
  private static final int WARM_UP = 40;
  private static final int SAMPLES = 60;
  private static final double MAX_CHANGE_MILLIS = 100;
  private static final double MAX_ADD_MILLIS = 3;
  private static final double MIB = 1024 * 1024;

  private static final Pattern ELEMENTS = Pattern.compile("elements = \\{([^}]*)\\}");

  private final ComparisonTable table;

  PolicyComparison(ComparisonTable table) {
    this.table = table;
  }

  void run() throws Exception {
    try (var fixture = new PolicyFixture()) {
      Network restricted = fixture.network(PolicyFixture.RESTRICTED);
      NetNs container = fixture.host().container("first");
      restricted.add(PolicyFixture.attachment(container, Map.of("app", "none"))); // the bridge
      fill(fixture);
      addSize(fixture.ruleset());
      measureLabel(fixture.policies());
      measurePolicy(fixture);
      measureAttachment(fixture);
    }
  }

  private void fill(PolicyFixture fixture) throws Exception {
    HostPolicies policies = fixture.policies();
    Map<String, String> files = new HashMap<>();
    for (int i = 0; i < POLICIES; i++) {
      files.put("policy-" + i, policy(i, 0));
    }
    fixture.apply(files);
    Timings attach =
        Timings.measure(
            ATTACHMENTS, i -> policies.attach(PolicyFixture.endpoint(i, labels(i, i % APPS))));
    table.addRow(
        "one attachment more, median of %d".formatted(ATTACHMENTS),
        List.of(ComparisonTable.millis(attach.medianMillis())));
  }

  private static Map<String, String> labels(int number, int app) {
    return Map.of("app", "app" + app, "tier", "tier" + number % TIERS, "number", "n" + number);
  }

  /**
   * Returns a policy. Two select each application, with peers by labels and addresses; the last
   * ones select the added container.
   *
   * @param version makes it differ
   */
  private static String policy(int number, int version) {
    int app = number % APPS;
    String selector = number < POLICIES - SELECTING ? "\"app\": \"app" + app : "\"role\": \"busy";
    return """
        { "name": "policy-%d", "podSelector": { "matchLabels": { %s" } },
          "policyTypes": ["Ingress", "Egress"],
          "ingress": [
            { "from": [{ "podSelector": { "matchLabels": { "app": "app%d" } } }] },
            { "from": [{ "podSelector": { "matchLabels": { "tier": "tier%d" } } }],
              "ports": [{ "port": 80 }, { "port": %d }] } ],
          "egress": [
            { "to": [{ "ipBlock": { "cidr": "10.%d.0.0/16", "except": ["10.%d.1.0/24"] } }],
              "ports": [{ "port": 443 }, { "port": 8000, "endPort": 8080 }] } ] }
        """
        .formatted(
            number,
            selector,
            (app + 1) % APPS,
            number % TIERS,
            1_000 + number + version * POLICIES,
            100 + number,
            100 + number);
  }

  private void addSize(String ruleset) {
    table.addRow(
        "the rules as text", List.of(ComparisonTable.number(ruleset.length() / MIB) + " MiB"));
    long elements =
        ELEMENTS
            .matcher(ruleset)
            .results()
            .mapToLong(it -> it.group(1).chars().filter(c -> c == ',').count() + 1)
            .sum();
    table.addRow("their elements", List.of(Long.toString(elements)));
  }

  private void measureLabel(HostPolicies policies) throws Exception {
    double millis =
        measure(i -> policies.attach(PolicyFixture.endpoint(7, labels(7, i % 2 == 0 ? 20 : 7))));
    addChange("one label changes", millis);
  }

  private void measurePolicy(PolicyFixture fixture) throws Exception {
    double millis =
        measure(
            i -> {
              fixture.write("policy-7", policy(7, 1 + i % 2));
              fixture.policies().applyDirectory();
            });
    addChange("the file of one policy changes", millis);
  }

  private void addChange(String label, double millis) {
    table.addRow(
        "%s, of %d attachments and %d policies".formatted(label, ATTACHMENTS, POLICIES),
        List.of(ComparisonTable.millis(millis)),
        "ms",
        millis,
        Goal.atMost(MAX_CHANGE_MILLIS));
  }

  private void measureAttachment(PolicyFixture fixture) throws Exception {
    Network restricted = fixture.network(PolicyFixture.RESTRICTED);
    Network free = fixture.network(PolicyFixture.FREE);
    Map<String, String> labels = Map.of("app", "app1", "role", "busy");
    Attachment attachment = PolicyFixture.attachment(fixture.host().container("added"), labels);
    measureAdd("the first container with these", restricted, free, attachment);
    fixture.policies().attach(PolicyFixture.endpoint(ATTACHMENTS, labels));
    measureAdd("a further container with these", restricted, free, attachment);
    measureCheck(restricted, free, attachment);
  }

  private void measureAdd(String label, Network restricted, Network free, Attachment attachment)
      throws Exception {
    long[] with = new long[SAMPLES];
    long[] without = new long[SAMPLES];
    for (int i = -WARM_UP; i < SAMPLES; i++) {
      without[Math.max(i, 0)] = add(free, attachment);
      with[Math.max(i, 0)] = add(restricted, attachment);
    }
    double base = Timings.of(without).medianMillis();
    double added = Timings.of(with).medianMillis() - base;
    table.addRow(
        "ADD with policy, %d policies, %s; without policy %s"
            .formatted(SELECTING + POLICIES / APPS, label, ComparisonTable.millis(base)),
        List.of(ComparisonTable.millis(base + added)),
        "ms more",
        added,
        Goal.atMost(MAX_ADD_MILLIS));
  }

  private static long add(Network network, Attachment attachment) throws Exception {
    long start = System.nanoTime();
    network.add(attachment);
    long nanos = System.nanoTime() - start;
    network.delete(attachment);
    return nanos;
  }

  private void measureCheck(Network restricted, Network free, Attachment attachment)
      throws Exception {
    free.add(attachment);
    double base = measure(_ -> free.check(attachment));
    free.delete(attachment);
    restricted.add(attachment);
    double check = measure(_ -> restricted.check(attachment));
    double repair = measure(_ -> restricted.repair(attachment.id()));
    restricted.delete(attachment);
    table.addRow(
        "CHECK with policy; without " + ComparisonTable.millis(base),
        List.of(ComparisonTable.millis(check)));
    table.addRow("repair with policy that finds nothing", List.of(ComparisonTable.millis(repair)));
  }

  private static double measure(Timings.Operation operation) throws Exception {
    Timings.measure(WARM_UP, operation);
    return Timings.measure(SAMPLES, operation).medianMillis();
  }
}
