// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.Result;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HostLocalPluginTest {
  private static final CallContext CONTEXT =
      new CallContext(
          Optional.empty(),
          Deadline.none(),
          type -> {
            throw new CniException(ErrorCode.INTERNAL, type);
          });

  private FileSystem files;
  private HostLocalPlugin plugin;
  private Path directory;

  @BeforeEach
  void open() throws IOException {
    files =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
    plugin = new HostLocalPlugin(files, (file, deadline) -> () -> {});
    directory = files.getPath("/var/lib/cni/networks/n");
  }

  @AfterEach
  void close() throws IOException {
    files.close();
  }

  /** Returns a configuration with these keys of {@code ipam}, and further keys after a comma. */
  static PluginConfig config(String ipam, String more) throws CniException {
    String text =
        "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"type\":\"bridge\",\"ipam\":{\"type\":\"host-local\","
            + ipam
            + "}"
            + more
            + "}";
    return PluginConfig.of(new ConfigObject(Json.parse(text, "test"), ""));
  }

  private static AttachmentRequest request(String container, String ipam, String more)
      throws CniException {
    var attachment =
        new Attachment(new AttachmentId(container, "eth0"), Optional.empty(), Map.of(), Map.of());
    return new AttachmentRequest(config(ipam, more), attachment, Optional.empty(), CONTEXT);
  }

  private static AttachmentRequest request(String container, String ipam) throws CniException {
    return request(container, ipam, "");
  }

  private List<String> add(String container, String ipam, String more) throws CniException {
    return plugin.add(request(container, ipam, more)).ips().stream()
        .map(ip -> ip.address().toString())
        .toList();
  }

  private List<String> add(String container, String ipam) throws CniException {
    return add(container, ipam, "");
  }

  private CniException refused(String container, String ipam, String more) {
    return assertThrows(CniException.class, () -> add(container, ipam, more), ipam);
  }

  private Set<String> files() throws IOException {
    if (!Files.exists(directory)) {
      return Set.of();
    }
    try (Stream<Path> all = Files.list(directory)) {
      var names = new TreeSet<String>();
      all.forEach(file -> names.add(String.valueOf(file.getFileName())));
      return names;
    }
  }

  @Test
  void addWritesTheFilesOfTheReferencePlugin() throws Exception {
    Result result =
        plugin.add(
            request(
                "c1",
                "\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"}],[{\"subnet\":\"fd00::/64\"}]],"
                    + "\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"10.5.0.0/16\",\"gw\":\"10.1.0.9\"}]"));
    assertEquals("10.1.0.2/24", result.ips().getFirst().address().toString());
    assertEquals("10.1.0.1", result.ips().getFirst().gateway().orElseThrow().getHostAddress());
    assertEquals("fd00::2/64", result.ips().getLast().address().toString());
    assertEquals(2, result.routes().size());
    assertEquals(
        Set.of("10.1.0.2", "fd00::2", "last_reserved_ip.0", "last_reserved_ip.1"), files());
    assertEquals("c1\r\neth0", Files.readString(directory.resolve("10.1.0.2")));
    assertEquals("fd00::2", Files.readString(directory.resolve("last_reserved_ip.1")));
    assertEquals(
        "rw-------",
        java.nio.file.attribute.PosixFilePermissions.toString(
            Files.getPosixFilePermissions(directory.resolve("10.1.0.2"))));
  }

  @Test
  void allocatesRoundRobinSkippingTheGateway() throws Exception {
    String ipam = "\"subnet\":\"10.1.0.0/29\",\"gateway\":\"10.1.0.3\"";
    List<String> allocated = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      allocated.addAll(add("c" + i, ipam));
    }
    assertEquals(
        List.of("10.1.0.1/29", "10.1.0.2/29", "10.1.0.4/29", "10.1.0.5/29", "10.1.0.6/29"),
        allocated);
    plugin.delete(request("c1", ipam));
    plugin.delete(request("c4", ipam));
    assertEquals(List.of("10.1.0.2/29"), add("d", ipam));
    plugin.delete(request("d", ipam));
    assertEquals(List.of("10.1.0.6/29"), add("e", ipam)); // continues after .2, which is free again
  }

  @Test
  void fullRangeContinuesInTheNextRangeOfTheSet() throws Exception {
    String ipam =
        "\"ranges\":[[{\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"10.1.0.10\",\"rangeEnd\":\"10.1.0.11\"},"
            + "{\"subnet\":\"10.2.0.0/24\",\"rangeStart\":\"10.2.0.20\",\"rangeEnd\":\"10.2.0.20\",\"gateway\":\"10.2.0.254\"}]]";
    assertEquals(List.of("10.1.0.10/24"), add("a", ipam));
    assertEquals(List.of("10.1.0.11/24"), add("b", ipam));
    Result third = plugin.add(request("c", ipam));
    assertEquals("10.2.0.20/24", third.ips().getFirst().address().toString());
    assertEquals("10.2.0.254", third.ips().getFirst().gateway().orElseThrow().getHostAddress());
    CniException full = refused("d", ipam, "");
    assertEquals(ErrorCode.TRY_AGAIN_LATER.value(), full.code());
    assertTrue(
        full.getMessage().contains("10.1.0.10-10.1.0.11,10.2.0.20-10.2.0.20"), full::getMessage);
    plugin.delete(request("a", ipam));
    assertEquals(List.of("10.1.0.10/24"), add("d", ipam));
  }

  @Test
  void allocatesFromSmallestAndHugeSubnets() throws Exception {
    assertEquals(List.of("10.1.0.2/30"), add("a", "\"subnet\":\"10.1.0.0/30\""));
    assertEquals(11, refused("b", "\"subnet\":\"10.1.0.0/30\"", "").code());
    assertEquals(
        List.of("fd00:9::2/8"), add("c", "\"subnet\":\"fd00::/8\",\"rangeStart\":\"fd00:9::2\""));
  }

  @Test
  void acceptsRequestedAddressesFromArgsCapabilityAndCniArgs() throws Exception {
    String ipam = "\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"}],[{\"subnet\":\"fd00::/64\"}]]";
    assertEquals(
        List.of("10.1.0.77/24", "fd00::77/64"),
        add("a", ipam, ",\"args\":{\"cni\":{\"ips\":[\"fd00::77\",\"10.1.0.77\"]}}"));
    assertEquals(
        List.of("10.1.0.78/24", "fd00::78/64"),
        add("b", ipam, ",\"runtimeConfig\":{\"ips\":[\"10.1.0.78/24\"]}"));
    AttachmentRequest byArgs = request("c", ipam);
    Result result =
        plugin.add(
            new AttachmentRequest(
                byArgs.config(),
                byArgs.attachment().withArgs(Map.of("IP", "10.1.0.79/24", "K8S_POD", "x")),
                Optional.empty(),
                CONTEXT));
    assertEquals("10.1.0.79/24", result.ips().getFirst().address().toString());
    CniException taken = refused("d", ipam, ",\"runtimeConfig\":{\"ips\":[\"10.1.0.77\"]}");
    assertEquals(11, taken.code());
    assertTrue(taken.getMessage().contains("container a"), taken::getMessage);
    assertEquals(7, refused("d", ipam, ",\"runtimeConfig\":{\"ips\":[\"10.1.0.1\"]}").code());
    assertEquals(7, refused("d", ipam, ",\"runtimeConfig\":{\"ips\":[\"10.2.0.1\"]}").code());
    assertEquals(
        7, refused("d", ipam, ",\"runtimeConfig\":{\"ips\":[\"10.1.0.5\",\"10.1.0.6\"]}").code());
    assertEquals(7, refused("d", ipam, ",\"runtimeConfig\":{\"ips\":[\"x\"]}").code());
    Set<String> held = files();
    assertFalse(held.contains("10.1.0.5") || held.contains("10.1.0.6"), held::toString);
  }

  @Test
  void runtimeRangesComeFirst() throws Exception {
    assertEquals(
        List.of("10.9.0.2/24", "10.1.0.2/24"),
        add(
            "a",
            "\"subnet\":\"10.1.0.0/24\"",
            ",\"runtimeConfig\":{\"ipRanges\":[[{\"subnet\":\"10.9.0.0/24\"}]]}"));
  }

  @Test
  void failureInALaterSetReleasesEarlierReservations() throws Exception {
    String ipam = "\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"}],[{\"subnet\":\"10.2.0.0/30\"}]]";
    add("a", ipam);
    assertEquals(11, refused("b", ipam, "").code());
    Set<String> held = files();
    assertFalse(held.contains("10.1.0.3"), held::toString);
  }

  @Test
  void secondAddIsRefusedAndCheckAndDeleteMatchExactly() throws Exception {
    String ipam = "\"subnet\":\"10.1.0.0/24\"";
    add("a", ipam);
    CniException again = refused("a", ipam, "");
    assertTrue(again.getMessage().contains("10.1.0.2 has been allocated"), again::getMessage);
    plugin.check(request("a", ipam));
    AttachmentRequest other = request("b", ipam);
    assertThrows(CniException.class, () -> plugin.check(other));
    plugin.delete(other);
    plugin.check(request("a", ipam));
    plugin.delete(request("a", ipam));
    plugin.delete(request("a", ipam));
    AttachmentRequest deleted = request("a", ipam);
    assertThrows(CniException.class, () -> plugin.check(deleted));
    assertFalse(files().contains("10.1.0.2"));
  }

  @Test
  void deleteGcAndStatusCreateNoDirectory() throws Exception {
    String ipam = "\"subnet\":\"10.1.0.0/24\"";
    plugin.delete(request("a", ipam));
    plugin.gc(new GcRequest(config(ipam, ""), Set.of(), CONTEXT));
    plugin.status(new NetworkRequest(config(ipam, ""), CONTEXT));
    assertFalse(Files.exists(directory));
  }

  @Test
  void incompleteFilesAreReusedAndLegacyFilesRespected() throws Exception {
    Files.createDirectories(directory);
    Files.writeString(directory.resolve("10.1.0.2"), "");
    Files.writeString(directory.resolve("10.1.0.3"), "c9\r\n");
    Files.writeString(directory.resolve("10.1.0.4"), "\0\0\0\0");
    Files.writeString(directory.resolve("10.1.0.5"), "old");
    Files.writeString(directory.resolve("last_reserved_ip.0"), "");
    Files.writeString(directory.resolve(".unnamed"), "c9\r");
    String ipam = "\"subnet\":\"10.1.0.0/29\"";
    plugin.check(request("old", ipam)); // written by a plugin before 0.7
    assertEquals(List.of("10.1.0.2/29"), add("a", ipam));
    assertEquals(List.of("10.1.0.3/29"), add("b", ipam));
    assertEquals(List.of("10.1.0.4/29"), add("c", ipam));
    assertEquals(List.of("10.1.0.6/29"), add("d", ipam));
    plugin.delete(request("old", ipam));
    assertEquals(List.of("10.1.0.5/29"), add("e", ipam));
  }

  @Test
  void gcKeepsValidAttachmentsAndRemovesTheRest() throws Exception {
    String ipam = "\"subnet\":\"10.1.0.0/24\"";
    add("a", ipam);
    add("b", ipam);
    Files.writeString(directory.resolve("10.1.0.50"), "a");
    Files.writeString(directory.resolve("10.1.0.51"), "gone");
    Files.writeString(directory.resolve("10.1.0.52"), "");
    Files.writeString(directory.resolve("10.1.0.53"), "a\r\neth1");
    var valid = Set.of(new AttachmentId("a", "eth0"));
    plugin.gc(new GcRequest(config(ipam, ""), valid, CONTEXT));
    assertEquals(Set.of("10.1.0.2", "10.1.0.50", "last_reserved_ip.0"), files());
  }

  @Test
  void statusFailsWhenARangeIsExhausted() throws Exception {
    String ipam = "\"subnet\":\"10.1.0.0/29\"";
    for (int i = 0; i < 4; i++) {
      add("c" + i, ipam);
    }
    plugin.status(new NetworkRequest(config(ipam, ""), CONTEXT));
    add("last", ipam);
    var request = new NetworkRequest(config(ipam, ""), CONTEXT);
    CniException e = assertThrows(CniException.class, () -> plugin.status(request));
    assertEquals(50, e.code());
    Files.writeString(directory.resolve("10.1.0.3"), ""); // incomplete: it is free again
    plugin.status(request);
  }

  @Test
  void missingResolvConfIsReportedBeforeAnAddressIsReserved() {
    CniException missing = refused("b", "\"subnet\":\"10.1.0.0/24\",\"resolvConf\":\"/none\"", "");
    assertEquals(5, missing.code());
    assertFalse(Files.exists(directory.resolve("10.1.0.2")));
  }

  @Test
  void messageNamesTheFirstOfManyRanges() throws Exception {
    StringBuilder ranges = new StringBuilder("{\"subnet\":\"10.0.0.0/30\"}");
    for (int i = 1; i < 1000; i++) {
      ranges.append(",{\"subnet\":\"10.%d.%d.0/30\"}".formatted(i / 250, i % 250));
    }
    CniException e =
        refused("a", "\"ranges\":[[" + ranges + "]]", ",\"runtimeConfig\":{\"ips\":[\"9.9.9.9\"]}");
    assertTrue(e.getMessage().contains("10.0.0.1-10.0.0.2"), e::getMessage);
    assertTrue(e.getMessage().contains("and 992 more"), e::getMessage);
  }

  /** Comparing each range with each other one took 11 s for 10,000, and so 20 minutes here. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  @Timeout(120)
  void hundredThousandRangesAreSearchedInLogarithmicTime(boolean isOneSet) throws Exception {
    StringBuilder ranges = new StringBuilder();
    for (int i = 0; i < 100_000; i++) {
      String subnet = "10.%d.%d.%d/30".formatted(i >> 14, i >> 6 & 0xff, (i & 0x3f) << 2);
      ranges.append(i == 0 ? "" : ",").append("{\"subnet\":\"").append(subnet).append("\"}");
    }
    String list =
        isOneSet ? "[" + ranges + "]" : ranges.toString().replace("{", "[{").replace("}", "}]");
    String ipam = "\"ranges\":[" + list + "]";
    if (isOneSet) {
      assertEquals(List.of("10.0.0.2/30"), add("a", ipam));
      assertEquals(List.of("10.0.0.6/30"), add("b", ipam));
    }
    plugin.status(new NetworkRequest(config(ipam, ""), CONTEXT));
    String overlapping = ipam.replace("10.6.26.124/30", "10.0.0.0/29");
    assertTrue(refused("c", overlapping, "").getMessage().contains("overlap"));
  }

  @Test
  void ipv6RangeOverAllAddressesDoesNotOverlapAnIpv4Range() throws Exception {
    assertEquals(
        List.of("::2/0", "10.1.0.2/24"),
        add("a", "\"ranges\":[[{\"subnet\":\"::/0\"}],[{\"subnet\":\"10.1.0.0/24\"}]]"));
  }

  @Test
  void exhaustionIsAnEventAndAnInterruptIsNone() throws Exception {
    plugin =
        new HostLocalPlugin(
            files,
            (file, deadline) -> {
              if (Thread.currentThread().isInterrupted()) {
                throw CniException.interrupted("waiting for the lock");
              }
              return () -> {};
            });
    List<String> events = new ArrayList<>();
    plugin.start(
        new PluginHost() {
          @Override
          public Optional<Path> hostNamespace() {
            return Optional.empty();
          }

          @Override
          public Path stateDirectory() {
            return directory;
          }

          @Override
          public void publish(PluginEvent event) {
            events.add(event.kind() + " " + event.message());
          }

          @Override
          public List<ActiveAttachment> attachments() {
            return List.of();
          }
        });
    String ipam = "\"subnet\":\"10.1.0.0/30\"";
    Thread.currentThread().interrupt();
    CniException interrupted = refused("a", ipam, "");
    assertTrue(Thread.interrupted(), interrupted::getMessage);
    assertEquals(11, interrupted.code());
    assertEquals(List.of(), events);
    add("a", ipam);
    CniException full = refused("b", ipam, "");
    assertEquals(List.of("resource-exhausted " + full.getMessage()), events);
  }
}
