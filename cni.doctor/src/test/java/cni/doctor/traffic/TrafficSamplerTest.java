// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.Json;
import cni.api.internal.BootClock;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.LinkStatistics;
import cni.runtime.AttachmentPresence;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.math.BigInteger;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Counters of attachments through which real packets pass. */
@KernelTest(commands = {"ping", "tc"})
class TrafficSamplerTest {
  /** An echo request of 1000 bytes: with the headers of ICMP, IPv4 and Ethernet. */
  private static final long FRAME = 1000 + 8 + 20 + 14;

  private final TestHost host;

  TrafficSamplerTest(TestHost host) {
    this.host = host;
  }

  private TrafficSample sample(Cni cni) throws Exception {
    return new TrafficSampler(cni, Optional.of(host.netns().path()), _ -> true).sample();
  }

  @Test
  void packetsAreCountedFromTheContainersPointOfView() throws Exception {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""));
    NetNs a = host.container("a");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(TestHost.attachment(a));
      host.awaitAddresses();
      TestBed.run(a, "ping", "-c", "1", "10.50.0.1"); // resolves the neighbours
      TrafficSample before = sample(cni);
      TestBed.run(a, "ping", "-c", "20", "-i", "0.01", "-s", "1000", "10.50.0.1");
      TrafficSample after = sample(cni);
      AttachmentTraffic then = before.attachments().getFirst();
      AttachmentTraffic now = after.attachments().getFirst();
      assertEquals(AttachmentPresence.PRESENT, now.presence());
      assertEquals(List.of("10.50.0.2/24", "fd50::2/64"), now.addresses());
      assertBetween(20, 30, sent(now).packets() - sent(then).packets());
      assertBetween(20 * FRAME, 21 * FRAME, sent(now).bytes() - sent(then).bytes());
      assertBetween(
          20 * FRAME,
          21 * FRAME,
          now.statistics().orElseThrow().received().bytes()
              - then.statistics().orElseThrow().received().bytes());
      TrafficRate rate = Optional.ofNullable(after.ratesSince(before).get(now.key())).orElseThrow();
      double seconds = (after.nanos() - before.nanos()) / 1e9;
      double sentBytes = (double) (sent(now).bytes() - sent(then).bytes());
      assertEquals(sentBytes, rate.transmittedBytes() * seconds, 0.5);
      assertEquals(Map.of(), before.ratesSince(after), "time runs backwards");
    }
  }

  private static LinkStatistics.Counters sent(AttachmentTraffic it) {
    return it.statistics().orElseThrow().transmitted();
  }

  private static void assertBetween(long least, long most, long value) {
    assertTrue(value >= least && value <= most, value + " is not in " + least + " to " + most);
  }

  @Test
  void limitsAndTheirDropsAreThoseOfTheKernel() throws Exception {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted(""),
        """
        { "type": "bandwidth", "ingressRate": 200000, "ingressBurst": 80000,
          "egressRate": 400000, "egressBurst": 80000 }
        """);
    NetNs a = host.container("a");
    try (Cni cni = host.openCni()) {
      String veth =
          cni.network("n").add(TestHost.attachment(a)).interfaces().stream()
              .filter(it -> it.isOnHost() && it.name().startsWith("veth"))
              .findFirst()
              .orElseThrow()
              .name();
      host.awaitAddresses();
      TestBed.run(host.netns(), "ping", "-c", "1", "10.50.0.2"); // resolves the neighbour
      sendBurst("10.50.0.2");
      AttachmentTraffic it = sample(cni).attachments().getFirst();
      assertEquals(200_000, it.ingress().orElseThrow().bitsPerSecond());
      assertEquals(400_000, it.egress().orElseThrow().bitsPerSecond());
      String tc = TestBed.run(host.netns(), "tc", "-s", "-j", "qdisc", "show", "dev", veth);
      JsonNode shown = Json.parse("{\"of\":" + tc + "}", "tc").path("of").get(0);
      assertEquals("tbf", shown.path("kind").asString());
      assertTrue(shown.path("drops").asLong() > 0, tc);
      assertEquals(shown.path("drops").asLong(), it.ingress().get().drops());
      assertEquals(shown.path("overlimits").asLong(), it.ingress().get().overlimits(), tc);
      assertTrue(it.drops() >= it.ingress().get().drops());
    }
  }

  /** Sends 140 kB at once, of which the limit's queue holds 10 kB. */
  private void sendBurst(String address) throws Exception {
    try (DatagramSocket socket =
        host.netns().<DatagramSocket, IOException>call(DatagramSocket::new)) {
      byte[] content = new byte[1400];
      for (int i = 0; i < 100; i++) {
        socket.send(
            new DatagramPacket(content, content.length, InetAddress.getByName(address), 4000));
      }
    }
    Thread.sleep(1000); // the queue is empty: the counters do not change between two readings
  }

  @Test
  void interfaceOfLoopbackIsLoWhateverTheRequestedName() throws Exception {
    host.network("n", "1.1.0", "{ \"type\": \"loopback\" }");
    NetNs a = host.container("a");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(TestHost.attachment(a));
      AttachmentTraffic sampled = sample(cni).attachments().getFirst();
      assertEquals(AttachmentPresence.PRESENT, sampled.presence());
      assertEquals("lo", sampled.statistics().orElseThrow().link().name());
    }
  }

  @Test
  void attachmentsWhoseNamespaceOrInterfaceIsGoneAreListedWithoutCounters() throws Exception {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""));
    NetNs a = host.container("a");
    NetNs b = host.container("b");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(TestHost.attachment(a));
      cni.network("n").add(TestHost.attachment(b));
      TrafficSample before = sample(cni);
      TestBed.run(a, "ip", "link", "del", "eth0");
      host.delete(b);
      TrafficSample after = sample(cni);
      assertEquals(
          List.of(AttachmentPresence.INTERFACE_GONE, AttachmentPresence.NAMESPACE_GONE),
          after.attachments().stream().map(AttachmentTraffic::presence).toList());
      assertTrue(after.attachments().stream().allMatch(it -> it.statistics().isEmpty()));
      assertEquals(Map.of(), after.ratesSince(before));
    }
  }

  @Test
  void interfaceThatWasCreatedAgainHasNoRate() throws Exception {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""));
    NetNs a = host.container("a");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(TestHost.attachment(a));
      host.awaitAddresses();
      TestBed.run(a, "ping", "-c", "3", "-i", "0.01", "10.50.0.1");
      TrafficSample before = sample(cni);
      cni.network("n").delete(TestHost.attachment(a));
      cni.network("n").add(TestHost.attachment(a));
      assertEquals(Map.of(), sample(cni).ratesSince(before));
    }
  }

  @Test
  void poolsHaveTheirSizeAndWhatIsReserved() throws Exception {
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "bridge", "bridge": "br0",
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
            "ranges": [[{ "subnet": "10.60.0.0/24", "rangeStart": "10.60.0.10",
                          "rangeEnd": "10.60.0.19" }], [{ "subnet": "fd60::/64" }]] } }
        """);
    NetNs a = host.container("a");
    try (Cni cni = host.openCni()) {
      Attachment attachment = TestHost.attachment(a);
      cni.network("n").add(attachment);
      List<AddressPool> pools = sample(cni).pools();
      assertEquals(2, pools.size());
      assertEquals("10.60.0.10-10.60.0.19", pools.get(0).range());
      assertEquals(BigInteger.TEN, pools.get(0).size());
      assertEquals(1, pools.get(0).used());
      assertEquals(0.1, pools.get(0).fill());
      // 2^64 addresses without that of the subnet and the gateway
      assertEquals(BigInteger.TWO.pow(64).subtract(BigInteger.TWO), pools.get(1).size());
      cni.network("n").delete(attachment);
      assertEquals(0, sample(cni).pools().getFirst().used());
    }
  }

  /** Another network's pools are shown all the same. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"subnet\": \"255.255.255.255/32\"",
        "\"subnet\": \"10.60.0.0/24\", \"rangeStart\": \"fd60::10\"",
        "\"subnet\": \"10.60.0.0\""
      })
  void networkWithInvalidRangesHasNoPools(String range) throws Exception {
    String config =
        """
        { "type": "bridge", "bridge": "br0",
          "ipam": { "type": "host-local", "dataDir": "@DATA@", "ranges": [[{ %s }]] } }
        """;
    host.network("a", "1.1.0", config.formatted(range));
    host.network("b", "1.1.0", config.formatted("\"subnet\": \"10.61.0.0/24\""));
    try (Cni cni = host.openCni()) {
      assertEquals(List.of("b"), sample(cni).pools().stream().map(AddressPool::network).toList());
    }
  }

  @Test
  void leaseIsTheOneThatExpiresFirstOfThisBoot() throws Exception {
    host.dualStack("n", "");
    NetNs a = host.container("a");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(TestHost.attachment(a));
      assertEquals(Optional.empty(), sample(cni).attachments().getFirst().lease());
      long uptime = BootClock.now().toMillis();
      String id = TestBed.nameOf(a);
      lease("1.4", id, BootClock.bootId(), uptime - 60_000, 3600_000);
      lease("1.6", id, BootClock.bootId(), uptime - 120_000, 600_000);
      lease("2.4", id, "00000000-0000-0000-0000-000000000000", uptime, 1000);
      Files.writeString(host.cache().resolve("dhcp/3.4.lease"), "{");
      DhcpLease lease = sample(cni).attachments().getFirst().lease().orElseThrow();
      Duration left = Duration.between(Instant.now(), lease.expiresAt());
      assertTrue(Math.abs(left.toSeconds() - 480) < 30, left::toString);
      assertEquals(600, Duration.between(lease.obtainedAt(), lease.expiresAt()).toSeconds());
    }
  }

  /** Writes a lease as the dhcp plugin does (LeaseDirectoryTest of cni.plugins.ipam). */
  private void lease(String name, String container, String boot, long obtained, long validFor)
      throws IOException {
    Path directory = Files.createDirectories(host.cache().resolve("dhcp"));
    Files.writeString(
        directory.resolve(name + ".lease"),
        """
        { "network": "n", "containerId": "%s", "ifName": "eth0",
          "binding": { "boot": "%s", "obtained": %d, "validFor": %d } }
        """
            .formatted(container, boot, obtained, validFor));
  }

  @Test
  void publishedPortsAreThoseOfTheArguments() throws Exception {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"portmap\", \"capabilities\": { \"portMappings\": true } }");
    NetNs a = host.container("a");
    try (Cni cni = host.openCni()) {
      cni.network("n")
          .add(
              TestHost.attachment(
                  a,
                  "portMappings",
                  "[{\"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"TCP\"},"
                      + " {\"hostPort\": 53, \"containerPort\": 5353, \"protocol\": \"udp\","
                      + " \"hostIP\": \"fd50::1\"}]"));
      assertEquals(
          "[8080:80/tcp, [fd50::1]:53:5353/udp]",
          sample(cni).attachments().getFirst().ports().toString());
    }
  }
}
