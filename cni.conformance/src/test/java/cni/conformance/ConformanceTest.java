// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.conformance.ConformanceReport.Outcome;
import cni.conformance.ConformanceReport.RequirementResult;
import cni.conformance.FaultyPlugin.Fault;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import cni.testing.KernelTest;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests of the kit: our plugins pass, and each fault is found by exactly its check. */
@KernelTest
class ConformanceTest {
  /** More than there are cores, as examinations mostly wait. */
  private static final int PARALLELISM = 8;

  private static final List<String> OUR_PLUGINS =
      List.of(
          "bridge",
          "ptp",
          "macvlan",
          "tap",
          "host-device",
          "loopback",
          "host-local",
          "static",
          "portmap",
          "firewall",
          "bandwidth",
          "tuning",
          "sbr",
          "policy",
          "debug");

  /**
   * The faults that do not show with tap, which has neither routes nor rules, for example. All
   * others are looked for in tap: it has one link where a bridge has three, which halves the time,
   * since the kernel makes and deletes one link at a time.
   */
  private static final Set<String> BRIDGE_FAULTS = Set.of("CHECK-4", "CHECK-6", "GC-3", "LEAK-1");

  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  @TempDir private Path cache;
  private Cni cni;

  @BeforeEach
  void open() {
    cni = Cni.builder().executables().pluginDirectories().oneShot().cache(cache).build();
  }

  @AfterEach
  void close() throws Exception {
    cni.close();
    Faults.release();
  }

  private PluginUnderTest moduleUnderTest(String type) {
    PluginRegistry plugins = cni.plugins();
    return new ModuleUnderTest(plugins.findInProcess(type).orElseThrow(), plugins, TIMEOUT);
  }

  @Test
  void ourPluginsPass() throws Exception {
    Map<String, Future<ConformanceReport>> reports = new LinkedHashMap<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(PARALLELISM)) {
      for (String type : OUR_PLUGINS) {
        PluginUnderTest subject =
            new FaultyPlugin(moduleUnderTest(type), FaultyPlugin::answerCorrectly);
        SubjectConfig config = SubjectConfig.of(type);
        reports.put(type, threads.submit(() -> new Conformance(subject, config).run()));
      }
      for (Future<ConformanceReport> it : reports.values()) {
        ConformanceReport report = it.get();
        assertTrue(report.passed(), report::text);
        assertTrue(report.count(Outcome.PASSED) > 25, report::text);
      }
    }
  }

  /**
   * Without vlan, of which the kernel has one device per parent and id, and so no second container
   * in a network, and vrf, whose DEL leaves the policy rules that the kernel makes for every VRF.
   */
  @ParameterizedTest
  @ValueSource(strings = {"dummy", "ipvlan"})
  @RequiresDevice({Device.DUMMY, Device.IPVLAN})
  void pluginsOfDevicesThatFewKernelsLackPass(String type) throws CniException {
    ConformanceReport report = new Conformance(moduleUnderTest(type), SubjectConfig.of(type)).run();
    assertTrue(report.passed(), report::text);
    assertTrue(report.count(Outcome.PASSED) > 25, report::text);
  }

  @Test
  void bridgeLeaksNoDescriptors() throws CniException {
    var conformance = new Conformance(moduleUnderTest("bridge"), SubjectConfig.of("bridge"));
    ConformanceReport report = conformance.run();
    assertEquals(conformance.checkCount(), report.findings().size());
    assertTrue(report.passed(), report::text);
    assertTrue(report.findings().getLast().id().equals("LEAK-3"), report::text);
  }

  @Test
  void eachFaultIsFoundByExactlyItsCheck() throws Exception {
    Map<String, Callable<List<String>>> runs = new LinkedHashMap<>();
    Faults.ofInterfaces()
        .forEach(
            (id, fault) -> {
              String type = BRIDGE_FAULTS.contains(id) ? "bridge" : "tap";
              runs.put(id, () -> failedChecks(type, fault));
            });
    Faults.ofChained().forEach((id, fault) -> runs.put(id, () -> failedChecks("firewall", fault)));
    Faults.ofIpam().forEach((id, fault) -> runs.put(id, () -> failedChecks("host-local", fault)));
    var missing = new TreeSet<String>();
    Conformance.requirements().forEach(it -> missing.add(it.id()));
    missing.removeAll(runs.keySet());
    assertEquals(List.of(), List.copyOf(missing), "checks without a fault");
    List<String> wrong = new ArrayList<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(PARALLELISM)) {
      Map<String, Future<List<String>>> found = new LinkedHashMap<>();
      runs.forEach((id, run) -> found.put(id, threads.submit(run)));
      for (Map.Entry<String, Future<List<String>>> it : found.entrySet()) {
        List<String> failed = it.getValue().get();
        if (failed.size() != 1 || !failed.getFirst().startsWith(it.getKey() + " ")) {
          wrong.add("the fault for " + it.getKey() + " was found by " + failed);
        }
      }
    }
    assertEquals(List.of(), wrong, () -> String.join("\n", wrong));
  }

  private List<String> failedChecks(String type, Fault fault) throws CniException {
    return failedChecks(new FaultyPlugin(moduleUnderTest(type), fault), type);
  }

  private static List<String> failedChecks(PluginUnderTest subject, String type)
      throws CniException {
    return new Conformance(subject, SubjectConfig.of(type))
        .run().findings().stream()
            .filter(it -> it.outcome() == Outcome.FAILED)
            .map(it -> it.id() + " (" + it.observed() + ")")
            .toList();
  }

  @Test
  void leakedDescriptorsAreFound() throws CniException {
    var leaking =
        new FaultyPlugin(moduleUnderTest("host-local"), Faults.leakingDescriptors(), true);
    List<String> failed = failedChecks(leaking, "host-local");
    assertEquals(1, failed.size(), failed::toString);
    assertTrue(failed.getFirst().startsWith("LEAK-3"), failed::toString);
  }

  @Test
  void executableThatAlwaysSucceedsFailsTheChecks(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("yes");
    Files.writeString(
        file,
        """
        #!/bin/sh
        cat >/dev/null
        case $CNI_COMMAND in
        VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
        ADD) echo '{"cniVersion":"1.1.0","interfaces":[],"ips":[]}' ;;
        esac
        """);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    var conformance =
        new Conformance(new ExecutableUnderTest(file, TIMEOUT), SubjectConfig.of("bridge"));
    ConformanceReport report = conformance.run();
    assertEquals(conformance.checkCount(), report.findings().size());
    List<String> failed =
        report.findings().stream()
            .filter(it -> it.outcome() == Outcome.FAILED)
            .map(RequirementResult::id)
            .toList();
    assertTrue(
        failed.containsAll(List.of("VERSION-2", "VERSION-3", "PARAM-1", "ADD-1", "ADD-3", "ADD-6")),
        report::text);
    assertTrue(report.xml().contains("failures=\"" + failed.size() + "\""), report::xml);
    assertEquals(failed.size(), report.json().get("failed").asInt());
  }

  @TestFactory
  Stream<DynamicTest> checksRunAsDynamicTests() throws CniException {
    return ConformanceTests.of(
        new Conformance(moduleUnderTest("static"), SubjectConfig.of("static")));
  }

  @Test
  void unusableConfigurationIsReported() throws CniException, IOException {
    var json = SubjectConfig.of("macvlan").config().put("master", "no-such-link");
    var conformance = new Conformance(moduleUnderTest("macvlan"), SubjectConfig.parse(json));
    CniException e = assertThrows(CniException.class, conformance::run);
    assertTrue(e.getMessage().contains("no-such-link"), e::getMessage);
  }
}
