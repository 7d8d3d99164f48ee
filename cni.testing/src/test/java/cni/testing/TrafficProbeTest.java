// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@KernelTest(commands = "nft")
class TrafficProbeTest {
  private static final String[] ADDRESSES = {"192.0.2.2", "2001:db8::2"};

  private final TestBed bed;
  private final NetNs server;

  TrafficProbeTest(TestBed bed) throws IOException {
    this.bed = bed;
    server = bed.namespace("server");
  }

  @BeforeEach
  void connect() throws IOException {
    TestBed.connect(bed.netns(), "veth0", server, "veth1");
    TestBed.addAddress(bed.netns(), "veth0", "192.0.2.1", 24);
    TestBed.addAddress(server, "veth1", "192.0.2.2", 24);
    TestBed.addAddress(bed.netns(), "veth0", "2001:db8::1", 64);
    TestBed.addAddress(server, "veth1", "2001:db8::2", 64);
    TestBed.run(server, "nft", "add table inet t");
    TestBed.run(server, "nft", "add chain inet t c { type filter hook input priority 0 ; }");
  }

  /** Adds a rule to the server's input, for a time. */
  private void filter(String rule, int millis) throws Exception {
    TestBed.run(server, "nft", "add rule inet t c " + rule);
    Thread.sleep(millis);
    TestBed.run(server, "nft", "flush chain inet t c");
  }

  @Test
  void undisturbedTrafficLosesNothing() throws Exception {
    try (var probe = TrafficProbe.start(bed.netns(), server, ADDRESSES)) {
      Thread.sleep(200);
      probe.requireNoLoss();
    }
  }

  @Test
  void droppedPacketsAreFoundByThePings() throws Exception {
    for (String address : ADDRESSES) {
      try (var probe = TrafficProbe.start(bed.netns(), server, address)) {
        filter("drop", 50);
        var error = assertThrows(AssertionError.class, probe::requireNoLoss);
        assertTrue(
            String.valueOf(error.getMessage())
                .matches(".*ping " + address + ": \\d+ of \\d+ packets lost, the first after .*"),
            error::getMessage);
      }
    }
  }

  @Test
  void aStallOfTheStreamIsFound() throws Exception {
    try (var probe = TrafficProbe.start(bed.netns(), server, "192.0.2.2")) {
      filter("meta l4proto tcp drop", 300);
      var error =
          assertThrows(AssertionError.class, () -> probe.requireNoLoss(Duration.ofMillis(250)));
      assertTrue(
          String.valueOf(error.getMessage()).matches(".*: stream to .* stalled for \\d+ ms"),
          error::getMessage);
    }
  }

  @Test
  void aResetIsFound() throws Exception {
    for (String address : ADDRESSES) {
      try (var probe = TrafficProbe.start(bed.netns(), server, address)) {
        filter("meta l4proto tcp reject with tcp reset", 50);
        var error = assertThrows(AssertionError.class, probe::requireNoLoss);
        assertTrue(
            String.valueOf(error.getMessage()).contains("connection failed"), error::getMessage);
        probe.requireCut();
      }
    }
  }

  @Test
  void onlyTrafficThatDoesNotFlowIsCut() throws Exception {
    try (var probe = TrafficProbe.start(bed.netns(), server, "2001:db8::2")) {
      assertThrows(AssertionError.class, probe::requireCut);
      TestBed.run(server, "nft", "add rule inet t c drop");
      probe.requireCut();
      var error = assertThrows(AssertionError.class, probe::requireNoLoss);
      assertTrue(String.valueOf(error.getMessage()).contains("no more replies"), error::getMessage);
    }
  }

  @Test
  void streamsFollowAForwardedPort() throws Exception {
    TestBed.run(server, "nft", "add chain inet t d { type nat hook prerouting priority -100 ; }");
    TestBed.run(server, "nft", "add rule inet t d tcp dport 8080 redirect to :80");
    try (var probe = TrafficProbe.start(bed.netns(), server, 8080, 80, ADDRESSES)) {
      probe.requireNoLoss();
    }
  }

  @Test
  void aTargetThatDoesNotAnswerIsRefused() throws Exception {
    TestBed.run(server, "nft", "add rule inet t c icmp type echo-request drop");
    var error =
        assertThrows(
            AssertionError.class,
            () -> TrafficProbe.start(bed.netns(), server, "192.0.2.2").close());
    assertTrue(String.valueOf(error.getMessage()).contains("no reply to ping"), error::getMessage);
  }
}
