// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Differences.Change;
import cni.api.Differences.Difference;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.meta.UpdateRequests;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The update of one port mapping among the rules of 1,000 other attachments. */
@KernelTest(commands = "nft")
class PortMapScaleTest {
  private static final int OTHERS = 1000;
  private static final int ROUNDS = 100;

  /** Many times what it takes on an idle machine. */
  private static final long MAX_NANOS = 300_000_000;

  private static final String ONE =
      "[{ \"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\" }]";
  private static final String TWO =
      "[{ \"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\" },"
          + " { \"hostPort\": 8081, \"containerPort\": 80, \"protocol\": \"tcp\" }]";

  private final TestHost host;
  private final NetNs a;

  PortMapScaleTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
  }

  private static String config(String backend) {
    return "{ \"type\": \"portmap\", \"backend\": \"%s\", \"capabilities\": { \"portMappings\": true } }"
        .formatted(backend);
  }

  private UpdateRequest request(Attachment attachment, Result result, String backend)
      throws CniException {
    return UpdateRequests.unchanged(host, "n", attachment, result, config(backend));
  }

  /** Adds the rules of other containers; those of the first one as ADD does. */
  private void addOthers(String backend, Result result) throws Exception {
    try (NftablesSocket nftables = NftablesSocket.open(host.netns())) {
      for (int i = 0; i < OTHERS; i++) {
        Cidr container = Cidr.parse("10.60.%d.%d/16".formatted(i / 250, i % 250 + 1));
        String ports = ONE.replace("8080", String.valueOf(10_000 + i));
        Attachment other = attachment(a, "portMappings", ports);
        PortMapConfig config =
            PortMapConfig.parse(request(other, result, backend).desired().config());
        String id = "other" + i;
        RulesetReconciler.<IOException>update(
            nftables,
            reconciler -> {
              if (backend.equals("iptables")) {
                new IptablesDnatRules(TableFamily.IP, "m", id).add(reconciler, config, container);
              } else {
                new NftablesDnatRules(TableFamily.IP, id, "m-" + id)
                    .add(reconciler, config, container);
              }
            });
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  @Timeout(300)
  void updateOfOneMappingIsFast(String backend) throws Exception {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""), config(backend));
    Attachment one = attachment(a, "portMappings", ONE);
    Attachment two = attachment(a, "portMappings", TWO);
    Result result = host.openCni().network("n").add(one);
    addOthers(backend, result);
    int before = rules();
    UpdateRequest toOne = request(one, result, backend);
    UpdateRequest toTwo = request(two, result, backend);
    var add = new UpdateRequest(toOne.current(), toTwo.desired());
    var remove = new UpdateRequest(toTwo.current(), toOne.desired());
    long[] additions = new long[ROUNDS];
    long[] removals = new long[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      additions[round] = update(add);
      removals[round] = update(remove);
    }
    Arrays.sort(additions);
    Arrays.sort(removals);
    long[] checks = new long[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      checks[round] = update(toOne);
    }
    Arrays.sort(checks);
    System.out.printf(
        "%s, among %d: add a mapping %s, remove it %s, CHECK %s%n",
        backend, OTHERS, describe(additions), describe(removals), describe(checks));
    assertTrue(additions[ROUNDS / 2] < MAX_NANOS, () -> describe(additions));
    assertEquals(before, rules());
  }

  private static String describe(long[] sorted) {
    return "%.2f ms (median; least %.2f)".formatted(sorted[ROUNDS / 2] / 1e6, sorted[0] / 1e6);
  }

  private int rules() throws IOException {
    return (int) TestBed.run(host.netns(), "nft", "list ruleset").lines().count();
  }

  private static long update(UpdateRequest request) throws Exception {
    long start = System.nanoTime();
    try (var differences = new Differences()) {
      Optional<Result> result = Optional.of(new PortMapPlugin().compare(request, differences));
      assertEquals(request.desired().prevResult(), result);
      List<Difference> found = differences.list();
      assertEquals(request.isUnchanged() ? 0 : 1, found.size(), found::toString);
      for (Difference difference : found) {
        difference.change().orElseThrow().apply().run();
      }
      for (Change completion : differences.completions()) {
        completion.apply().run();
      }
    }
    return System.nanoTime() - start;
  }
}
