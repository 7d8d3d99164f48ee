package cni.conformance;

import cni.api.CniException;
import cni.api.SpecVersion;
import cni.conformance.ConformanceReport.Finding;
import cni.conformance.ConformanceReport.Outcome;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.NetNsSnapshot;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Examines a plugin: runs the specification's requirements, each on a host of its own that exists
 * only for it. Needs root; changes nothing on the machine.
 *
 * <pre>{@code
 * Report report = new Conformance(subject, Setting.parse(json)).run();
 * }</pre>
 */
public final class Conformance {
  private static final String STATE_LEAK_ID = "LEAK-1";
  private static final String PROCESS_LEAK_ID = "LEAK-2";
  private static final String DESCRIPTOR_LEAK_ID = "LEAK-3";
  private static final String UNDO_TEXT =
      "The container runtime must ensure that add is eventually followed by a corresponding delete."
          + " [Plugins should] undo any modifications applied in the plugin's ADD functionality";

  /** Sockets may be kept for the next call for a while. */
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(5);

  /** Descriptors come and go with threads and classes; each case may leak only its own. */
  private static final int DESCRIPTOR_TOLERANCE = 16;

  private final PluginUnderTest subject;
  private final SubjectConfig subjectConfig;
  private final List<Path> pluginPath;
  private final List<String> stateLeaks = new ArrayList<>();
  private final List<String> processLeaks = new ArrayList<>();

  /**
   * An examination of a plugin whose delegates are modules.
   *
   * @param setting what it is examined with
   */
  public Conformance(PluginUnderTest subject, SubjectConfig setting) {
    this(subject, setting, List.of());
  }

  /**
   * An examination.
   *
   * @param setting what it is examined with
   * @param pluginPath directories with executables that it may delegate to
   */
  public Conformance(PluginUnderTest subject, SubjectConfig setting, List<Path> pluginPath) {
    this.subject = subject;
    this.subjectConfig = setting;
    this.pluginPath = List.copyOf(pluginPath);
  }

  /** Every requirement, in order. */
  static List<Requirement> requirements() {
    return Stream.of(
            ProtocolRequirements.LIST,
            AddRequirements.LIST,
            DelGcRequirements.LIST,
            CheckStatusRequirements.LIST,
            DelegationRequirements.LIST,
            MalformedInputRequirements.LIST)
        .flatMap(List::stream)
        .toList();
  }

  /**
   * Runs all checks.
   *
   * @throws CniException code 5 if nothing can be examined here, code 7 if the plugin does not work
   *     in this setting at all
   */
  public ConformanceReport run() throws CniException {
    return run(finding -> {});
  }

  /**
   * Runs all checks.
   *
   * @param listener is told of each as soon as it is done
   * @throws CniException code 5 if nothing can be examined here, code 7 if the plugin does not work
   *     in this setting at all
   */
  public ConformanceReport run(Consumer<Finding> listener) throws CniException {
    List<SpecVersion> supported = Preflight.supportedVersions(subject, subjectConfig, pluginPath);
    SpecVersion version = supported.getLast();
    Preflight.requireWorkingAdd(subject, subjectConfig, version, pluginPath);
    List<Finding> findings = new ArrayList<>();
    Consumer<Finding> taker = findings::add;
    taker = taker.andThen(listener);
    long descriptors = countDescriptors();
    for (Requirement requirement : requirements()) {
      if (requirement.roles().contains(subjectConfig.role())) {
        taker.accept(examine(requirement, version, supported));
      }
    }
    addLeakFindings(taker, descriptors);
    return new ConformanceReport(subject.describe(), version.toString(), List.copyOf(findings));
  }

  private void addLeakFindings(Consumer<Finding> taker, long descriptors) {
    taker.accept(
        leakFinding(
            STATE_LEAK_ID, "no check leaves links, addresses, routes, rules or files", stateLeaks));
    taker.accept(leakFinding(PROCESS_LEAK_ID, "no check leaves a process", processLeaks));
    if (subject.isInProcess()) {
      long more = countDescriptors() - descriptors;
      for (long end = System.nanoTime() + CLOSE_TIMEOUT.toNanos();
          more > DESCRIPTOR_TOLERANCE && System.nanoTime() < end; ) {
        CheckContext.pause();
        more = countDescriptors() - descriptors;
      }
      taker.accept(
          leakFinding(
              DESCRIPTOR_LEAK_ID,
              "the checks leave no descriptors open",
              more <= DESCRIPTOR_TOLERANCE
                  ? List.of()
                  : List.of(more + " more are open than before")));
    }
  }

  private static Finding leakFinding(String id, String title, List<String> seen) {
    return new Finding(
        id,
        title,
        "3, Lifecycle & Ordering",
        UNDO_TEXT,
        seen.isEmpty() ? Outcome.PASSED : Outcome.FAILED,
        String.join("; ", seen),
        Duration.ZERO);
  }

  private Finding examine(Requirement requirement, SpecVersion version, List<SpecVersion> supported)
      throws CniException {
    long begin = System.nanoTime();
    Outcome outcome = Outcome.PASSED;
    String seen = "";
    try (var stage = new CheckHost(subject, subjectConfig, version, pluginPath)) {
      CheckContext trial = CheckContext.create(stage, supported);
      try {
        requirement.check().run(trial);
      } catch (CheckFailure e) {
        outcome = Outcome.FAILED;
        seen = String.valueOf(e.getMessage());
      } catch (IOException e) { // something that has to be there is not
        outcome = Outcome.FAILED;
        seen = "looking at what there is: " + e.getMessage();
      } catch (NotApplicable e) {
        outcome = Outcome.SKIPPED;
        seen = String.valueOf(e.getMessage());
      }
      if (outcome == Outcome.PASSED && !trial.isTampered()) {
        recordLeaks(requirement.id(), trial);
      }
    } catch (IOException e) {
      throw CheckHost.setUpFailure(e);
    }
    return new Finding(
        requirement.id(),
        requirement.title(),
        requirement.section(),
        requirement.specText(),
        outcome,
        seen,
        Duration.ofNanos(System.nanoTime() - begin));
  }

  private void recordLeaks(String id, CheckContext trial) throws CniException, IOException {
    for (NetNs netns : trial.testBed().namespaces()) {
      processesIn(netns).ifPresent(it -> processLeaks.add(id + ": " + it));
    }
    trial.cleanUp();
    NetNsSnapshot left = trial.leftovers();
    if (!left.isEmpty()) {
      stateLeaks.add(id + ": " + left);
    }
  }

  /** A process of somebody else's in a namespace, which only the plugin can have left there. */
  private static Optional<String> processesIn(NetNs netns) throws IOException {
    NetNs.Identity identity = netns.identity();
    String link = "net:[" + identity.inode() + "]";
    try (Stream<Path> all = Files.list(Path.of("/proc"))) {
      return all.filter(it -> it.getFileName().toString().matches("\\d+"))
          .filter(it -> isInNamespace(it, link))
          .map(it -> "process " + it.getFileName() + " " + command(it))
          .findFirst();
    }
  }

  private static boolean isInNamespace(Path process, String link) {
    try {
      return Files.readSymbolicLink(process.resolve("ns/net")).toString().equals(link);
    } catch (IOException e) {
      return false; // it has ended
    }
  }

  private static String command(Path process) {
    try {
      return Files.readString(process.resolve("comm")).strip();
    } catch (IOException e) {
      return "";
    }
  }

  private static long countDescriptors() {
    try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
      return all.count();
    } catch (IOException e) {
      return 0;
    }
  }
}
