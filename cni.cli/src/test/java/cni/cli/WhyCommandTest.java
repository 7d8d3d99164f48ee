// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@KernelTest(commands = {"ip", "nft"})
@Isolated("captures the standard streams of the process")
class WhyCommandTest {
  private final CapturedCommand cni = new CapturedCommand();
  private TestHost host;

  @BeforeEach
  void open() throws IOException {
    host = new TestHost();
    TestHost.run(host.netns(), "ip", "link", "set", "lo", "up");
  }

  @AfterEach
  void close() throws IOException {
    cni.close();
    host.close();
  }

  private int why(String... arguments) {
    List<String> all =
        new ArrayList<>(
            List.of("why", "--cache=" + host.cache(), "--host-netns=" + host.netns().path()));
    all.addAll(List.of(arguments));
    return cni.run(all.toArray(String[]::new));
  }

  @Test
  void localhostIsTheSourceItself() {
    assertEquals(0, why("host", "localhost:8080"), cni::err);
    assertTrue(
        cni.out().startsWith("TCP from host (127.0.0.1) to host (127.0.0.1:8080) arrives, but "),
        cni::out);
    assertEquals(0, why("-6", "host", "localhost:8080"), cni::err);
    assertTrue(cni.out().contains(" to host ([::1]:8080) arrives, but "), cni::out);
    assertEquals(2, why("203.0.113.1", "localhost:8080"));
    assertTrue(cni.err().contains("localhost is SOURCE itself"), cni::err);
  }

  @Test
  void sourceGivenAsAnAddressIsSentFrom() throws Exception {
    host.outside();
    TestBed.run(host.netns(), "ip", "addr", "add", "192.0.2.77/32", "dev", "lo");
    assertEquals(0, why("192.0.2.77", TestHost.HOST_V4 + ":8080"), cni::err);
    assertTrue(cni.out().startsWith("TCP from host (192.0.2.77) to host ("), cni::out);
  }

  @ParameterizedTest
  @CsvSource({"0, localhost, 40", "39, 127.0.0.1, 40", "59, ::1, 60", "65536, localhost, 40"})
  void sizeIsAtLeastThatOfTheProbe(String size, String destination, int least) {
    assertEquals(2, why("--size", size, "host", destination));
    assertTrue(
        cni.err().startsWith("cni: --size %s is not between %d, ".formatted(size, least)),
        cni::err);
    assertEquals(0, why("--size", String.valueOf(least), "host", destination), cni::err);
    assertTrue(cni.out().startsWith("ICMP of " + least + " bytes "), cni::out);
  }
}
