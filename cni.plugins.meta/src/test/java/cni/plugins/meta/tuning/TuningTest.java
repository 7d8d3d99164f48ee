// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.ReferencePlugins;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The tuning plugin after a plugin whose DEL keeps the interface, so that the restored settings can
 * be checked.
 */
@KernelTest
class TuningTest {
  private static final String ALL =
      """
      { "type": "tuning", "dataDir": "@DATA@/tuning", "capabilities": { "mac": true },
        "mac": "02:aa:00:00:00:01", "mtu": 1300, "promisc": true, "allmulti": true, "txQLen": 77,
        "sysctl": { "net.core.somaxconn": "477", "net.ipv4.conf.IFNAME.arp_filter": "1",
                    "net.ipv4.tcp_rmem": "4096 87380 6291456" } }
      """;

  private TestHost host;
  private NetNs a;
  private String before;

  @BeforeEach
  void open() throws IOException {
    host = new TestHost();
    a = host.container("a");
    TestBed.run(a, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other");
    before = link();
    host.script(
        "maker",
        "[ $CNI_COMMAND = ADD ] || exit 0\necho '{\"cniVersion\":\"1.0.0\",\"interfaces\":["
            + "{\"name\":\"eth0\"},{\"name\":\"eth0\",\"mtu\":1500,\"sandbox\":\""
            + a.path()
            + "\"}]}'");
    chain(ALL);
  }

  @AfterEach
  void close() throws IOException {
    host.close();
  }

  @Test
  void statusRefusesADataDirThatCannotBeWritten() throws Exception {
    host.openCni().network("n").status();
    Files.createDirectories(host.ipamData());
    Files.createFile(host.ipamData().resolve("tuning"));
    Network network = host.openCni().network("n");
    CniException e = assertThrows(CniException.class, network::status);
    assertEquals(50, e.code());
    assertTrue(e.getMessage().contains("tuning, for the settings"), e::getMessage);
    chain("{ \"type\": \"tuning\", \"dataDir\": \"@DATA@/tuning\" }"); // saves nothing
    host.openCni().network("n").status();
  }

  private void chain(String tuning) throws IOException {
    chain("1.1.0", tuning);
  }

  private void chain(String version, String tuning) throws IOException {
    host.network("n", version, "{ \"type\": \"maker\" }", tuning);
  }

  private Network network() throws CniException {
    return host.openCni().network("n");
  }

  private Cni referenceHost() throws CniException {
    Path own = host.executables().resolve("tuning");
    try {
      Files.deleteIfExists(own);
      Files.createSymbolicLink(own, ReferencePlugins.directory().resolve("tuning"));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
    return host.builder().forceExecutables("tuning").build();
  }

  private Network reference() throws CniException {
    return referenceHost().network("n");
  }

  private String link() throws IOException {
    return TestBed.run(a, "ip", "-d", "link", "show", "eth0");
  }

  private List<String> savedFiles() throws IOException {
    Path directory = host.ipamData().resolve("tuning");
    if (!Files.exists(directory)) {
      return List.of();
    }
    try (var files = Files.list(directory)) {
      return files.map(file -> String.valueOf(file.getFileName())).toList();
    }
  }

  private String sysctl(String key) throws IOException {
    return TestBed.run(a, "sysctl", "-n", key).strip();
  }

  @Test
  void settingsAreAppliedReportedCheckedAndRestored() throws Exception {
    Result result = network().add(attachment(a));
    String shown = link();
    for (String part : List.of("02:aa:00:00:00:01", "mtu 1300", "PROMISC", "ALLMULTI", "qlen 77")) {
      assertTrue(shown.contains(part), shown);
    }
    assertEquals("477", sysctl("net.core.somaxconn"));
    assertEquals("1", sysctl("net.ipv4.conf.eth0.arp_filter"));
    assertEquals("", result.interfaces().get(0).mac()); // the host interface of the same name
    assertEquals("02:aa:00:00:00:01", result.interfaces().get(1).mac());
    assertEquals(1300, result.interfaces().get(1).mtu());
    network().check(attachment(a));
    network().delete(attachment(a));
    assertEquals(before, link());
    assertEquals(List.of(), savedFiles());
    network().delete(attachment(a));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "sysctl -w net.core.somaxconn=100|sysctl net/core/somaxconn is \"100\", expected \"477\"",
        "ip link set eth0 mtu 1400|MTU of interface eth0 is 1400, expected 1300",
        "ip link set eth0 address 02:aa:00:00:00:09|hardware address",
        "ip link set eth0 promisc off|promiscuous mode of interface eth0 is false, expected true",
        "ip link set eth0 allmulticast off|all-multicast mode",
        "ip link set eth0 txqueuelen 78|transmit queue length of interface eth0 is 78, expected 77",
        "ip link del eth0|interface eth0 is missing"
      })
  void checkNamesTheSettingThatDiffers(String change, String part) throws Exception {
    network().add(attachment(a));
    TestBed.run(a, change.split(" ", -1));
    CniException e = assertThrows(CniException.class, () -> network().check(attachment(a)));
    assertTrue(e.getMessage().contains(part), e::getMessage);
    network().delete(attachment(a));
    assertEquals(List.of(), savedFiles());
  }

  @Test
  void macIsTakenFromFourSourcesInOrderOfPrecedence() throws Exception {
    var runtime = Json.parse("{\"m\":\"02:aa:00:00:00:03\"}", "t").get("m");
    network().add(attachment(a).withArgs(Map.of("MAC", "02:aa:00:00:00:02")));
    assertTrue(link().contains("02:aa:00:00:00:02"));
    network().add(attachment(a).withCapabilityArgs(Map.of("mac", runtime)));
    assertTrue(link().contains("02:aa:00:00:00:03"));
    chain(
        ALL.replace(
            "\"promisc\"",
            "\"args\": { \"cni\": { \"mac\": \"02:aa:00:00:00:04\", \"mtu\": 1200 } }, \"promisc\""));
    network().add(attachment(a).withCapabilityArgs(Map.of("mac", runtime)));
    assertTrue(link().contains("02:aa:00:00:00:04") && link().contains("mtu 1200"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"sysctl\": { \"kernel.pid_max\": \"1000\" }|7|kernel.pid_max",
        "\"sysctl\": { \"net.core.somaxconn\": \"1\", \"net/../kernel/pid_max\": \"1000\" }|7|net/../kernel",
        "\"sysctl\": { \"net.core.somaxconn\": \"1\", \"net.no.such\": \"1\" }|999|net/no/such",
        "\"sysctl\": { \"net.core.somaxconn\": \"1\", \"net.core.somaxconn\": \"2\" }|7|sysctl.net.core.somaxconn appears more than once",
        "\"sysctl\": { \"net.core.somaxconn\": 1 }|7|sysctl.net.core.somaxconn must be a string",
        "\"mac\": \"02:aa\"|7|mac \"02:aa\"",
        "\"sysctl\": { \"net.core.somaxconn\": \"1\" }, \"mac\": \"02:aa:00:00:00:01\", \"mtu\": 65536|999|change link"
      })
  void failedAddRestoresEverySetting(String options, int code, String part) throws Exception {
    String somaxconn = sysctl("net.core.somaxconn");
    chain("{ \"type\": \"tuning\", \"dataDir\": \"@DATA@/tuning\", %s }".formatted(options));
    String untouched = link();
    CniException e = assertThrows(CniException.class, () -> network().add(attachment(a)));
    assertEquals(code, e.code(), e::getMessage);
    assertTrue(e.getMessage().contains(part), e::getMessage);
    assertEquals(somaxconn, sysctl("net.core.somaxconn"));
    assertEquals(untouched, link());
    assertEquals(List.of(), savedFiles());
  }

  @Test
  void addWithoutPrevResultIsRefused() throws Exception {
    host.network("n", "1.1.0", ALL);
    CniException e = assertThrows(CniException.class, () -> network().add(attachment(a)));
    assertEquals(7, e.code());
    assertTrue(
        e.getMessage().contains("must follow a plugin that makes an interface"), e::getMessage);
  }

  @Test
  void gcRemovesSavedSettingsOfStaleAttachments() throws Exception {
    network().add(attachment(a));
    Files.writeString(
        host.ipamData().resolve("tuning").resolve("other_eth0.json"), "{ \"mtu\": 1500 }");
    network().gc(Set.of(attachment(a).id()));
    assertEquals(2, savedFiles().size());
    Files.delete(host.cache().resolve("results").resolve(host.results().getFirst()));
    network().gc(Set.of());
    assertEquals(List.of("other_eth0.json"), savedFiles()); // may belong to another network
    TestBed.run(a, "ip", "link", "del", "eth0");
    TestBed.run(a, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other");
    network().add(attachment(a));
    host.recreate(a);
    network().delete(attachment(a)); // without the interface
    assertEquals(List.of("other_eth0.json"), savedFiles());
  }

  @Test
  @KernelTest(reference = true)
  void savedSettingsAreInterchangeableWithTheReferencePlugin() throws Exception {
    // Versions of the reference without 1.1.0 lack txQLen, and IFNAME in CHECK.
    boolean older = !referenceHost().plugins().versions("tuning").contains(SpecVersion.V1_1_0);
    String options = older ? ALL.replace(", \"txQLen\": 77", "").replace("IFNAME", "eth0") : ALL;
    chain("1.0.0", options);
    network().add(attachment(a));
    String tuned = link();
    reference().delete(attachment(a));
    assertEquals(before, link());
    assertEquals(List.of(), savedFiles());
    chain("1.0.0", options.replace("4096 87380 6291456", "4096\\t87380\\t6291456"));
    Result theirs = reference().add(attachment(a));
    assertEquals(tuned, link());
    reference().check(attachment(a));
    network().check(attachment(a));
    network().delete(attachment(a));
    assertEquals(before, link());
    assertEquals(List.of(), savedFiles());
    assertEquals("02:aa:00:00:00:01", theirs.interfaces().get(1).mac());
    assertFalse(
        Files.exists(Path.of("/run/cni/tuning/" + attachment(a).containerId() + "_eth0.json")));
  }
}
