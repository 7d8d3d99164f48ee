package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import cni.testing.KernelTest;
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
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An exhausted network gets back what was reserved before the boot, and nothing else. */
@KernelTest
class ReclamationTest {
  private TestHost host;
  private Path directory;
  private final HostLocalPlugin plugin = new HostLocalPlugin();
  private String link = "none";
  private String range = V4;

  private static final String V4 =
      "\"subnet\":\"192.0.2.0/24\",\"rangeStart\":\"192.0.2.2\",\"rangeEnd\":\"192.0.2.4\"";
  private static final String V6 =
      "\"subnet\":\"2001:db8::/64\",\"rangeStart\":\"2001:db8::2\",\"rangeEnd\":\"2001:db8::4\"";

  @BeforeEach
  void open() throws IOException {
    host = new TestHost();
    host.outside(); // has the second address of both ranges
    directory = host.ipamData().resolve("n");
  }

  @AfterEach
  void close() throws IOException {
    plugin.stop();
    host.close();
  }

  private AttachmentRequest request(String container) throws CniException {
    String text =
        """
        {"cniVersion":"1.1.0","name":"n","type":"macvlan","master":"%s",
         "ipam":{"type":"host-local","dataDir":"%s",%s}}
        """
            .formatted(link, host.ipamData(), range);
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

  /** Makes files look as if they had been written an hour before the machine booted. */
  private void age(String... addresses) throws IOException {
    String uptime = Files.readString(Path.of("/proc/uptime")).split(" ", -1)[0];
    Duration sinceBoot = Duration.ofSeconds((long) Double.parseDouble(uptime));
    for (String address : addresses) {
      Files.setLastModifiedTime(
          directory.resolve(address),
          FileTime.from(Instant.now().minus(sinceBoot).minus(Duration.ofHours(1))));
    }
  }

  private List<String> markers() throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .map(it -> String.valueOf(it.getFileName()))
          .filter(it -> it.startsWith(".boot-"))
          .toList();
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

  @Test
  void reservationsOfThisBootAreKept() throws Exception {
    fill();
    requireExhausted();
    // As after the clock was set forward by an hour: the boot seems to be later than it was.
    age("192.0.2.3");
    Path marker = directory.resolve(markers().getFirst());
    Files.setLastModifiedTime(marker, FileTime.from(Instant.EPOCH));
    requireExhausted();
    // As after the clock was set back: the marker is younger than all reservations.
    fillAgain();
    Files.setLastModifiedTime(marker, FileTime.from(Instant.now().plusSeconds(1000)));
    requireExhausted();
    Files.delete(marker);
    plugin.delete(request("a"));
    assertEquals("192.0.2.2", add("a"));
  }

  private void fillAgain() throws CniException {
    for (String container : List.of("a", "b", "c")) {
      plugin.delete(request(container));
    }
    fill();
  }

  @Test
  void eachBootHasOneMarker() throws Exception {
    add("a");
    List<String> marker = markers();
    assertEquals(1, marker.size());
    Files.delete(directory.resolve(marker.getFirst()));
    Files.createFile(directory.resolve(".boot-00000000-0000-0000-0000-000000000000"));
    add("b");
    assertEquals(marker, markers());
    FileTime time = Files.getLastModifiedTime(directory.resolve(marker.getFirst()));
    assertFalse(time.toInstant().isAfter(Instant.now()));
  }
}
