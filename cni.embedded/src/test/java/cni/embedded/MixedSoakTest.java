// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.Campaign;
import cni.testing.KernelTest;
import cni.testing.NetNsSnapshot;
import cni.testing.Probe;
import cni.testing.TestHost;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/**
 * Containers come and go through modules and reference executables at the same time, on one bridge
 * and one directory of reservations; each is checked and deleted by another set of plugins than the
 * one that added it.
 */
@KernelTest(reference = true)
class MixedSoakTest {
  private static final int CONTAINERS = 8;
  private static final Duration USUAL = Duration.ofSeconds(8);

  /** The container that has each address, as the results of ADD say. */
  private final Map<String, String> holders = new ConcurrentHashMap<>();

  private final AtomicInteger attachments = new AtomicInteger();

  @Test
  void addressesStayUniqueAndNothingIsLeft(TestHost host) throws Exception {
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"portmap\", \"backend\": \"nftables\","
            + " \"capabilities\": { \"portMappings\": true } }");
    List<Cni> mixtures =
        List.of(
            host.openCni(),
            host.withReference("host-local"),
            host.withReference("bridge", "host-local"),
            host.withReference("bridge", "host-local", "portmap"));
    NetNs first = host.container("first"); // with it come the bridge and the chains for all
    mixtures.getLast().network("n").add(withPort(first, 19_999));
    NetNsSnapshot before = NetNsSnapshot.of(host.netns());
    Campaign campaign = Campaign.start("mixed soak", USUAL);
    List<Callable<Void>> lives = new ArrayList<>();
    for (int i = 0; i < CONTAINERS; i++) {
      NetNs container = host.container("c" + i);
      int port = 20_000 + i;
      var random = new Random(campaign.random().nextLong());
      lives.add(
          () -> {
            while (campaign.goesOn()) {
              live(container, port, mixtures, random);
            }
            return null;
          });
    }
    try (var threads = Executors.newFixedThreadPool(CONTAINERS)) {
      for (Future<Void> life : threads.invokeAll(lives)) {
        life.get();
      }
    }
    assertTrue(attachments.get() > CONTAINERS, attachments::toString);
    assertEquals(2, host.reservations("n").size());
    assertEquals(before, NetNsSnapshot.of(host.netns()));
    mixtures.getFirst().network("n").delete(withPort(first, 19_999));
    host.assertNothingLeft("n", first);
  }

  private void live(NetNs container, int port, List<Cni> mixtures, Random random) throws Exception {
    Attachment attachment = withPort(container, port);
    Result result = any(mixtures, random).network("n").add(attachment);
    for (Result.IpConfig ip : result.ips()) {
      assertNull(holders.put(ip.address().toString(), container.toString()), ip::toString);
    }
    if (random.nextInt(4) == 0) {
      assertTrue(Probe.ping(container, "10.50.0.1"));
      assertTrue(Probe.ping(container, "fd50::1"));
    }
    any(mixtures, random).network("n").check(attachment);
    for (Result.IpConfig ip : result.ips()) {
      holders.remove(ip.address().toString());
    }
    any(mixtures, random).network("n").delete(attachment);
    attachments.incrementAndGet();
  }

  private static Attachment withPort(NetNs container, int port) throws CniException {
    return attachment(
        container,
        "portMappings",
        "[{\"hostPort\":%d,\"containerPort\":80,\"protocol\":\"tcp\"}]".formatted(port));
  }

  private static Cni any(List<Cni> mixtures, Random random) {
    return mixtures.get(random.nextInt(mixtures.size()));
  }
}
