// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.Probe;
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
import org.junit.jupiter.params.provider.ValueSource;

/** The image's plugins as executables, called by the CNI execution protocol. */
@KernelTest
class PluginExecutablesIT {
  private static final String HOST_LOCAL =
      "{ \"type\": \"host-local\", \"ipam\": { \"type\": \"host-local\", \"dataDir\": \"@DATA@\","
          + " \"subnet\": \"10.50.0.0/24\" } }";

  private TestHost host;
  private NetNs a;

  @BeforeEach
  void open() throws Exception {
    host = new TestHost();
    a = host.container("a");
    ImageRunner.CommandOutput installed =
        new ImageRunner(host).cni(Map.of(), "install", "--dir", bin());
    assertEquals(0, installed.status(), installed::err);
  }

  @AfterEach
  void close() throws IOException {
    host.close();
  }

  private String bin() {
    return host.executables().toString();
  }

  private Cni executables() {
    return host.builder().forceExecutables("bridge", "host-local", "loopback", "tuning").build();
  }

  /** All verbs of three plugins, as modules and as executables. */
  @ParameterizedTest
  @ValueSource(strings = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"})
  void everySpecVersionAndVerbWorksAsModuleAndAsExecutable(String version) throws Exception {
    boolean hasCheck = SpecVersion.parse(version).atLeast(SpecVersion.V0_4_0);
    for (Cni cni : List.of(host.openCni(), executables())) {
      for (String plugin :
          List.of(TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"loopback\" }", HOST_LOCAL)) {
        host.network("n", version, plugin);
        Network network = cni.network("n");
        Result result = network.add(attachment(a));
        assertFalse(result.ips().isEmpty());
        String cached =
            Files.readString(host.cache().resolve("results").resolve(host.results().getFirst()));
        assertTrue(cached.contains("\"result\":{\"cniVersion\":\"" + version + "\""), cached);
        if (plugin.contains("bridge")) {
          assertTrue(Probe.ping(a, "10.50.0.1") && Probe.ping(a, "fd50::1"));
        }
        if (hasCheck) {
          network.check(attachment(a));
        } else {
          assertEquals(
              1, assertThrows(CniException.class, () -> network.check(attachment(a))).code());
        }
        network.gc(Set.of(attachment(a).id()));
        network.status();
        network.delete(attachment(a));
        network.delete(attachment(a));
        host.assertNothingLeft("n", a);
      }
    }
  }

  @Test
  void installLeavesForeignFilesAlone() throws Exception {
    var run = new ImageRunner(host);
    Path bridge = host.executables().resolve("bridge");
    assertTrue(Files.isSymbolicLink(bridge));
    assertEquals(0, run.cni(Map.of(), "install", "--dir", bin()).status()); // can be repeated
    Files.delete(bridge);
    Files.writeString(bridge, "another program");
    ImageRunner.CommandOutput refused = run.cni(Map.of(), "install", "--dir", bin());
    assertEquals(4, refused.json().get("code").intValue(), refused::err);
    assertTrue(refused.err().contains(bridge.toString()), refused::err);
    assertEquals("another program", Files.readString(bridge));
    assertEquals(0, run.cni(Map.of(), "install", "--dir", bin(), "--force", "bridge").status());
    assertTrue(Files.isSymbolicLink(bridge));
    host.script("other", "exit 0");
    assertEquals(0, run.cni(Map.of(), "install", "--dir", bin(), "--remove").status());
    try (var files = Files.list(host.executables())) {
      assertEquals(
          List.of("other"), files.map(file -> String.valueOf(file.getFileName())).toList());
    }
  }

  @Test
  void delegatesAreResolvedOnCniPath() throws Exception {
    Path hostLocal = host.executables().resolve("host-local");
    Files.delete(hostLocal);
    host.script(
        "host-local",
        "[ $CNI_COMMAND = ADD ] || exit 0\n"
            + "echo '{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.50.0.99/24\"}]}'");
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""));
    Result result = executables().network("n").add(attachment(a));
    assertEquals("10.50.0.99/24", result.ips().getFirst().address().toString());
    executables().network("n").delete(attachment(a));
    Files.delete(hostLocal); // without an executable the image's own module serves it
    Result own = executables().network("n").add(attachment(a));
    assertEquals("10.50.0.2/24", own.ips().getFirst().address().toString());
    executables().network("n").delete(attachment(a));
    host.assertNothingLeft("n", a);
  }

  @Test
  @KernelTest(reference = true)
  void referenceBridgeDelegatesToOurHostLocal() throws Exception {
    Files.delete(host.executables().resolve("bridge"));
    Files.createSymbolicLink(
        host.executables().resolve("bridge"), ReferencePlugins.directory().resolve("bridge"));
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""));
    Network network = executables().network("n");
    Result result = network.add(attachment(a));
    assertEquals(2, result.ips().size());
    assertEquals(List.of("10.50.0.2", "fd50::2"), host.reservations("n"));
    network.check(attachment(a));
    network.delete(attachment(a));
    host.assertNothingLeft("n", a);
  }

  @Test
  void executableAnswersLikeSkel() throws Exception {
    var run = new ImageRunner(host);
    Path bridge = host.executables().resolve("bridge");
    ImageRunner.CommandOutput about = run.plugin(bridge, Map.of(), "");
    assertEquals(0, about.status());
    assertTrue(about.err().startsWith("CNI bridge plugin"), about::err);
    ImageRunner.CommandOutput version = run.plugin(bridge, Map.of("CNI_COMMAND", "VERSION"), "");
    assertEquals("1.1.0", version.json().at("/supportedVersions/6").asString());
    ImageRunner.CommandOutput missing = run.plugin(bridge, Map.of("CNI_COMMAND", "ADD"), "{}");
    assertEquals(1, missing.status());
    assertEquals(4, missing.json().get("code").intValue());
    Path unknown = host.executables().resolve("unknown");
    Files.createSymbolicLink(unknown, ImageRunner.IMAGE.resolve("bin/cni"));
    assertEquals(
        7, run.plugin(unknown, Map.of("CNI_COMMAND", "ADD"), "{}").json().get("code").intValue());
  }

  @Test
  void standardOutputHoldsOnlyTheResponse() throws Exception {
    var run = new ImageRunner(host);
    Path bridge = host.executables().resolve("bridge");
    Map<String, String> environment =
        Map.of(
            "CNI_COMMAND", "VERSION",
            "JAVA_TOOL_OPTIONS", "-XX:-UseCompressedOops -XX:+UseG1GC",
            "JDK_JAVA_OPTIONS", "-Xlog:all");
    assertTrue(run.plugin(bridge, environment, "").json().has("supportedVersions"));
    Path image = host.executables().resolveSibling("image");
    TestBed.run(host.netns(), "cp", "-a", ImageRunner.IMAGE.toString(), image.toString());
    for (String cache : List.of("broken", "")) {
      Files.delete(image.resolve("lib/cni.aot"));
      if (!cache.isEmpty()) {
        Files.writeString(image.resolve("lib/cni.aot"), cache);
      }
      String cni = image.resolve("bin/cni").toString();
      assertTrue(TestBed.run(host.netns(), cni, "--version").contains("CNI specification"));
    }
  }

  @Test
  void loopbackRefusesOwnNamespaceUnlessOverridden() throws Exception {
    var run = new ImageRunner(host);
    Path loopback = host.executables().resolve("loopback");
    String config = "{ \"cniVersion\": \"1.0.0\", \"name\": \"n\", \"type\": \"loopback\" }";
    Map<String, String> environment =
        new java.util.HashMap<>(
            Map.of(
                "CNI_COMMAND", "ADD",
                "CNI_CONTAINERID", "c",
                "CNI_IFNAME", "lo",
                "CNI_NETNS", host.netns().path().toString()));
    assertEquals(8, run.plugin(loopback, environment, config).json().get("code").intValue());
    environment.put("CNI_NETNS_OVERRIDE", "1");
    ImageRunner.CommandOutput overridden = run.plugin(loopback, environment, config);
    assertEquals("127.0.0.1/8", overridden.json().at("/ips/0/address").asString(), overridden::err);
  }

  @Test
  void modularJarInImageBecomesExecutable() throws Exception {
    Path own = host.executables().resolveSibling("own");
    Files.createDirectories(own.resolve("mine"));
    Files.writeString(
        own.resolve("module-info.java"),
        "module mine { requires cni.api; provides cni.api.NetworkPlugin with mine.Mine; }");
    Files.writeString(
        own.resolve("mine/Mine.java"),
        """
        package mine;
        import cni.api.*;
        public final class Mine implements NetworkPlugin {
          public String type() { return "mine"; }
          public Result add(AttachmentRequest request) {
            return Result.EMPTY.withDns(new Dns(java.util.List.of(), "mine", java.util.List.of(), java.util.List.of()));
          }
          public void check(AttachmentRequest request) {}
          public void delete(AttachmentRequest request) {}
        }
        """);
    Path image = host.executables().resolveSibling("image");
    TestBed.run(host.netns(), "cp", "-a", ImageRunner.IMAGE.toString(), image.toString());
    Path java = Path.of(System.getProperty("java.home"), "bin");
    TestBed.run(
        host.netns(),
        java.resolve("javac").toString(),
        "--system",
        image.toString(),
        "--module-path",
        jspecify(),
        "-d",
        own.resolve("classes").toString(),
        own.resolve("module-info.java").toString(),
        own.resolve("mine/Mine.java").toString());
    Path jar = Files.createDirectories(image.resolve("plugins")).resolve("mine.jar");
    TestBed.run(
        host.netns(),
        java.resolve("jar").toString(),
        "--create",
        "--file=" + jar,
        "-C",
        own.resolve("classes").toString(),
        ".");
    String cni = image.resolve("bin/cni").toString();
    TestBed.run(host.netns(), cni, "install", "--dir", bin(), "--force");
    host.network("n", "1.1.0", "{ \"type\": \"mine\" }");
    Network network = host.openCni().network("n");
    assertEquals("mine", network.add(attachment(a)).dns().domain());
    network.check(attachment(a));
    network.gc(Set.of());
    assertEquals(List.of(), host.results());
    assertTrue(TestBed.run(host.netns(), cni, "plugins").contains("module mine"));
  }

  /** Returns the jar of the annotations, which is needed to compile but not to run. */
  private static String jspecify() {
    return List.of(System.getProperty("java.class.path").split(":", -1)).stream()
        .filter(entry -> entry.contains("jspecify"))
        .findFirst()
        .orElseThrow();
  }
}
