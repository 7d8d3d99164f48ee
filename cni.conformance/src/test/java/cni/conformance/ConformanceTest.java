package cni.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.conformance.FaultySubject.Fault;
import cni.conformance.Report.Finding;
import cni.conformance.Report.Outcome;
import cni.netlink.lab.KernelTest;
import cni.runtime.Cni;
import cni.runtime.Plugins;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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

/** The kit itself: our plugins pass, and each fault is found by the check that is there for it. */
@KernelTest
class ConformanceTest {
  /** Most of the time is waiting. */
  private static final int AT_ONCE = 8;

  private static final List<String> OURS =
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
          "debug");

  private static final Duration PATIENCE = Duration.ofSeconds(30);

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

  private Subject module(String type) {
    Plugins plugins = cni.plugins();
    return new ModuleSubject(plugins.module(type).orElseThrow(), plugins, PATIENCE);
  }

  @Test
  void ourPluginsPass() throws Exception {
    Map<String, Future<Report>> reports = new LinkedHashMap<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(AT_ONCE)) {
      for (String type : OURS) {
        Subject apart = new FaultySubject(module(type), FaultySubject::right);
        Setting setting = Setting.of(type);
        reports.put(type, threads.submit(() -> new Conformance(apart, setting).run()));
      }
      for (Future<Report> it : reports.values()) {
        Report report = it.get();
        assertTrue(report.passed(), report::text);
        assertTrue(report.count(Outcome.PASSED) > 25, report::text);
      }
    }
  }

  @Test
  void theBridgeLeavesNothingOpen() throws CniException {
    Report report = new Conformance(module("bridge"), Setting.of("bridge")).run();
    assertTrue(report.passed(), report::text);
    assertTrue(report.findings().getLast().id().equals("LEAK-3"), report::text);
  }

  @Test
  void eachFaultIsFoundByExactlyItsCheck() throws Exception {
    Map<String, Callable<List<String>>> runs = new LinkedHashMap<>();
    Faults.ofInterfaces().forEach((id, fault) -> runs.put(id, () -> failed("bridge", fault)));
    Faults.ofChained().forEach((id, fault) -> runs.put(id, () -> failed("firewall", fault)));
    Faults.ofIpam().forEach((id, fault) -> runs.put(id, () -> failed("host-local", fault)));
    var missing = new TreeSet<String>();
    Conformance.requirements().forEach(it -> missing.add(it.id()));
    missing.removeAll(runs.keySet());
    assertEquals(List.of(), List.copyOf(missing), "checks without a fault");
    List<String> wrong = new ArrayList<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(AT_ONCE)) {
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

  private List<String> failed(String type, Fault fault) throws CniException {
    return failed(new FaultySubject(module(type), fault), type);
  }

  private static List<String> failed(Subject subject, String type) throws CniException {
    return new Conformance(subject, Setting.of(type))
        .run().findings().stream()
            .filter(it -> it.outcome() == Outcome.FAILED)
            .map(it -> it.id() + " (" + it.seen() + ")")
            .toList();
  }

  @Test
  void descriptorsThatStayOpenAreFound() throws CniException {
    var leaking = new FaultySubject(module("host-local"), Faults.leakingDescriptors(), true);
    List<String> failed = failed(leaking, "host-local");
    assertEquals(1, failed.size(), failed::toString);
    assertTrue(failed.getFirst().startsWith("LEAK-3"), failed::toString);
  }

  @Test
  void anExecutableThatOnlySaysYesIsCaught(@TempDir Path directory) throws Exception {
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
    Report report =
        new Conformance(new ExecutableSubject(file, PATIENCE), Setting.of("bridge")).run();
    List<String> failed =
        report.findings().stream()
            .filter(it -> it.outcome() == Outcome.FAILED)
            .map(Finding::id)
            .toList();
    assertTrue(
        failed.containsAll(List.of("VERSION-2", "VERSION-3", "PARAM-1", "ADD-1", "ADD-3", "ADD-6")),
        report::text);
    assertTrue(report.xml().contains("failures=\"" + failed.size() + "\""), report::xml);
    assertEquals(failed.size(), report.json().get("failed").asInt());
  }

  @TestFactory
  Stream<DynamicTest> checksAsTests() throws CniException {
    return ConformanceTests.of(new Conformance(module("static"), Setting.of("static")));
  }

  @Test
  void aSettingThatDoesNotWorkIsSaid() throws CniException, IOException {
    var json = Setting.of("macvlan").config().put("master", "no-such-link");
    var conformance = new Conformance(module("macvlan"), Setting.parse(json));
    CniException e = assertThrows(CniException.class, conformance::run);
    assertTrue(e.getMessage().contains("no-such-link"), e::getMessage);
  }
}
