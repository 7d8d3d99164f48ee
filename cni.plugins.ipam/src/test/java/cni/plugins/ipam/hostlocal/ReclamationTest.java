// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.internal.BootId;
import cni.plugins.ipam.NoOpPluginHost;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An exhausted network gets back what was reserved before the boot, and nothing else. */
@KernelTest
class ReclamationTest {
  private final TestHost host;
  private final Path directory;
  private final HostLocalPlugin plugin = new HostLocalPlugin();
  private String type = "macvlan";
  private String link = "none";
  private String range = V4;

  private static final String V4 =
      "\"subnet\":\"192.0.2.0/24\",\"rangeStart\":\"192.0.2.2\",\"rangeEnd\":\"192.0.2.4\"";
  private static final String V6 =
      "\"subnet\":\"2001:db8::/64\",\"rangeStart\":\"2001:db8::2\",\"rangeEnd\":\"2001:db8::4\"";

  ReclamationTest(TestHost host) throws IOException {
    this.host = host;
    host.outside(); // has the second address of both ranges
    directory = host.ipamData().resolve("n");
  }

  @AfterEach
  void close() {
    plugin.stop();
  }

  private AttachmentRequest request(String container) throws CniException {
    String text =
        """
        {"cniVersion":"1.1.0","name":"n","type":"%s","master":"%s","bridge":"br0","vlan":100,
         "ipam":{"type":"host-local","dataDir":"%s",%s}}
        """
            .formatted(type, link, host.ipamData(), range);
    PluginConfig config = PluginConfig.of(new ConfigObject(Json.parse(text, "test"), ""));
    AttachmentRequest any = AllocationLoop.request(config, container);
    var context =
        new CallContext(
            Optional.of(host.netns().path()),
            Deadline.after(Duration.ofSeconds(60)),
            any.context().delegates());
    return new AttachmentRequest(config, any.attachment(), Optional.empty(), context);
  }

  private String add(String container) throws CniException {
    return InetAddresses.format(
        plugin.add(request(container)).ips().getFirst().address().address());
  }

  private void status() throws CniException {
    AttachmentRequest request = request("s");
    plugin.status(new NetworkRequest(request.config(), request.context()));
  }

  /** Makes files look as if they had been written just before the machine booted. */
  private void age(String... addresses) throws IOException {
    Instant boot = BootId.bootTime().orElseThrow();
    for (String address : addresses) {
      Files.setLastModifiedTime(directory.resolve(address), FileTime.from(boot.minusSeconds(1)));
    }
  }

  private void fill() throws CniException {
    for (String container : List.of("a", "b", "c")) {
      add(container);
    }
  }

  private void requireExhausted() {
    CniException e = assertThrows(CniException.class, () -> add("more"));
    assertTrue(e.is(ErrorCode.TRY_AGAIN_LATER), e::getMessage);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void reservationsOfAnEarlierBootAreReclaimedOnlyWhenTheRangeIsExhausted(boolean resident)
      throws Exception {
    if (resident) {
      plugin.start(new NoOpPluginHost(host.cache()));
    }
    add("a");
    age("192.0.2.2");
    assertEquals("192.0.2.3", add("b"));
    assertEquals("192.0.2.4", add("c"));
    assertEquals(3, host.reservations("n").size(), "not before the range is exhausted");
    status();
    assertEquals("192.0.2.2", add("new"));
    plugin.check(request("new"));
    plugin.check(request("b"));
    assertThrows(CniException.class, () -> plugin.check(request("a")));
    requireExhausted();
    assertThrows(CniException.class, this::status);
  }

  @ParameterizedTest
  @ValueSource(strings = {V4, V6})
  void addressThatAnswersOnTheLinkIsKept(String addresses) throws Exception {
    host.awaitAddresses();
    link = "up0";
    range = addresses;
    String prefix = addresses.equals(V4) ? "192.0.2." : "2001:db8::";
    fill();
    age(prefix + "2", prefix + "3", prefix + "4");
    assertEquals(prefix + "3", add("new"));
    assertEquals(
        new TreeSet<>(List.of(prefix + "2", prefix + "3")), new TreeSet<>(host.reservations("n")));
    assertEquals("a\r\neth0", Files.readString(directory.resolve(prefix + "2")));
  }

  /** Where the clock has been set forward since the boot, these files seem to precede it. */
  @Test
  void reservationsOfThisBootAreKept() throws Exception {
    fill();
    requireExhausted();
    for (String address : host.reservations("n")) {
      Files.setLastModifiedTime(
          directory.resolve(address), Files.getLastModifiedTime(Path.of("/proc")));
    }
    requireExhausted();
    assertThrows(CniException.class, this::status);
  }

  /** As the ptp plugin does, and as reservations of the reference plugin before ours. */
  @ParameterizedTest
  @ValueSource(strings = {V4, V6})
  void addressThatTheHostRoutesIsKept(String addresses) throws Exception {
    range = addresses;
    String prefix = addresses.equals(V4) ? "192.0.2." : "2001:db8::";
    fill();
    age(prefix + "2", prefix + "3", prefix + "4");
    String family = addresses.equals(V4) ? "-4" : "-6";
    String route = prefix + "3" + (addresses.equals(V4) ? "/32" : "/128");
    TestBed.run(host.netns(), "ip", family, "route", "add", route, "dev", "up0");
    assertEquals(prefix + "2", add("new"));
    assertEquals("b\r\neth0", Files.readString(directory.resolve(prefix + "3")));
    assertEquals(2, host.reservations("n").size());
  }

  @Test
  void addressThatAnswersInTheVlanOfTheBridgeIsKept() throws Exception {
    TestBed.run(host.netns(), "ip", "link", "set", "up0", "down");
    TestBed.run(host.netns(), "ip", "link", "set", "up0", "name", "br0.100");
    TestBed.run(host.netns(), "ip", "link", "set", "br0.100", "up");
    type = "bridge";
    fill();
    age("192.0.2.2", "192.0.2.3", "192.0.2.4");
    assertEquals("192.0.2.3", add("new"));
    assertEquals("a\r\neth0", Files.readString(directory.resolve("192.0.2.2")));
  }
}
