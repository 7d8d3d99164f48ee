// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import cni.api.SpecVersion;
import cni.conformance.ConformanceReport.Outcome;
import cni.conformance.ConformanceReport.RequirementResult;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.NetNsSnapshot;
import cni.testing.TestBed;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Examines a plugin: runs a check for each requirement of the specification in temporary network
 * namespaces. A check gets new ones unless the check before left its host as it found it. Needs
 * root; leaves the machine unchanged.
 *
 * <pre>{@code
 * ConformanceReport report = new Conformance(plugin, SubjectConfig.parse(json)).run();
 * }</pre>
 */
public final class Conformance {
  private static final String STATE_LEAK_ID = "LEAK-1";
  private static final String PROCESS_LEAK_ID = "LEAK-2";
  private static final String DESCRIPTOR_LEAK_ID = "LEAK-3";
  private static final String UNDO_TEXT =
      "The container runtime must ensure that add is eventually followed by a corresponding delete."
          + " [Plugins should] undo any modifications applied in the plugin's ADD functionality";

  /** How long plugins may keep idle sockets open after their last call. */
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(5);

  /** The number of open descriptors varies this much with threads and class loading. */
  private static final int DESCRIPTOR_TOLERANCE = 16;

  private final PluginUnderTest subject;
  private final SubjectConfig subjectConfig;
  private final List<Path> pluginPath;
  private final List<String> stateLeaks = new ArrayList<>();
  private final List<String> processLeaks = new ArrayList<>();

  /**
   * The context for the next check, on the host of the last one; null if that check failed or left
   * anything. Reusing a host saves its namespaces and the first attachment: the kit's own tests
   * take half the time.
   */
  private @Nullable CheckContext nextContext;

  /**
   * Creates an examination of a plugin whose delegates are modules.
   *
   * @param config the configuration of the examination
   */
  public Conformance(PluginUnderTest subject, SubjectConfig config) {
    this(subject, config, List.of());
  }

  /**
   * Creates an examination.
   *
   * @param config the configuration of the examination
   * @param pluginPath the directories of executables that the plugin may delegate to
   */
  public Conformance(PluginUnderTest subject, SubjectConfig config, List<Path> pluginPath) {
    this.subject = subject;
    this.subjectConfig = config;
    this.pluginPath = List.copyOf(pluginPath);
  }

  /** Returns all requirements, in the order of the report. */
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

  /** Returns the number of findings that {@link #run()} will report. */
  public int checkCount() {
    long checks = requirements().stream().filter(this::concernsSubject).count();
    return Math.toIntExact(checks) + (subject.isInProcess() ? 3 : 2); // LEAK-1, -2 and -3
  }

  private boolean concernsSubject(Requirement requirement) {
    return requirement.roles().contains(subjectConfig.role());
  }

  /**
   * Runs all checks.
   *
   * @throws CniException code 5 if namespaces cannot be created, code 7 if ADD does not work with
   *     this configuration, code 11 if the thread is interrupted
   */
  public ConformanceReport run() throws CniException {
    return run(finding -> {});
  }

  /**
   * Runs all checks.
   *
   * @param listener receives each finding as soon as its check is done
   * @throws CniException code 5 if namespaces cannot be created, code 7 if ADD does not work with
   *     this configuration, code 11 if the thread is interrupted; the namespaces are then removed
   */
  public ConformanceReport run(Consumer<RequirementResult> listener) throws CniException {
    removeAbandoned();
    List<SpecVersion> supported = Preflight.supportedVersions(subject, subjectConfig, pluginPath);
    SpecVersion version = supported.getLast();
    Preflight.requireWorkingAdd(subject, subjectConfig, version, pluginPath);
    List<RequirementResult> findings = new ArrayList<>();
    Consumer<RequirementResult> sink = findings::add;
    sink = sink.andThen(listener);
    long descriptors = countDescriptors();
    try {
      for (Requirement requirement : requirements()) {
        if (Thread.currentThread().isInterrupted()) {
          throw CniException.interrupted("examining " + subject.describe());
        }
        if (concernsSubject(requirement)) {
          sink.accept(examine(requirement, version, supported));
        }
      }
    } finally {
      closeHost();
    }
    addLeakFindings(sink, descriptors);
    return new ConformanceReport(subject.describe(), version.toString(), List.copyOf(findings));
  }

  /** Removes the namespaces and directories of examinations that were killed. */
  private static void removeAbandoned() throws CniException {
    try {
      TestBed.removeAbandoned(CheckHost.LABEL);
    } catch (IOException e) {
      throw CheckHost.setUpFailure(e);
    }
  }

  private void addLeakFindings(Consumer<RequirementResult> sink, long descriptors) {
    sink.accept(
        leakFinding(
            STATE_LEAK_ID, "no check leaves links, addresses, routes, rules or files", stateLeaks));
    sink.accept(leakFinding(PROCESS_LEAK_ID, "no check leaves a process", processLeaks));
    if (subject.isInProcess()) {
      long more = countDescriptors() - descriptors;
      for (long end = System.nanoTime() + CLOSE_TIMEOUT.toNanos();
          more > DESCRIPTOR_TOLERANCE && System.nanoTime() < end; ) {
        CheckContext.pause();
        more = countDescriptors() - descriptors;
      }
      sink.accept(
          leakFinding(
              DESCRIPTOR_LEAK_ID,
              "the checks leave no descriptors open",
              more <= DESCRIPTOR_TOLERANCE
                  ? List.of()
                  : List.of(more + " more are open than before")));
    }
  }

  private static RequirementResult leakFinding(String id, String title, List<String> observed) {
    return new RequirementResult(
        id,
        title,
        "3, Lifecycle & Ordering",
        UNDO_TEXT,
        observed.isEmpty() ? Outcome.PASSED : Outcome.FAILED,
        String.join("; ", observed),
        Duration.ZERO);
  }

  private RequirementResult examine(
      Requirement requirement, SpecVersion version, List<SpecVersion> supported)
      throws CniException {
    long begin = System.nanoTime();
    Outcome outcome = Outcome.FAILED;
    String observed = "";
    try {
      CheckContext context = takeContext(version, supported);
      try {
        requirement.check().run(context);
        outcome = Outcome.PASSED;
      } catch (CheckFailure e) {
        observed = String.valueOf(e.getMessage());
      } catch (IOException e) { // such as a link that the result lists and that does not exist
        observed = "inspecting the host and containers: " + e.getMessage();
      } catch (NotApplicable e) {
        outcome = Outcome.SKIPPED;
        observed = String.valueOf(e.getMessage());
      } finally {
        finish(context, requirement.id(), outcome);
      }
    } catch (IOException e) {
      throw CheckHost.setUpFailure(e);
    }
    return new RequirementResult(
        requirement.id(),
        requirement.title(),
        requirement.section(),
        requirement.specText(),
        outcome,
        observed,
        Duration.ofNanos(System.nanoTime() - begin));
  }

  /** Records what a check left, and keeps its host for the next one if that is nothing. */
  private void finish(CheckContext context, String id, Outcome outcome)
      throws CniException, IOException {
    try {
      if (outcome == Outcome.PASSED && !context.isTampered()) {
        recordLeaks(id, context);
        if (context.restoreBaseline()) {
          nextContext = context.next();
        }
      }
    } finally {
      if (nextContext == null) {
        context.checkHost().close();
      }
    }
  }

  private CheckContext takeContext(SpecVersion version, List<SpecVersion> supported)
      throws CniException, IOException {
    CheckContext reused = nextContext;
    nextContext = null;
    if (reused != null) {
      return reused;
    }
    var checkHost = new CheckHost(subject, subjectConfig, version, pluginPath);
    try {
      return CheckContext.create(checkHost, supported);
    } catch (CniException | IOException | RuntimeException e) {
      checkHost.close();
      throw e;
    }
  }

  private void closeHost() throws CniException {
    CheckContext reused = nextContext;
    nextContext = null;
    if (reused != null) {
      try {
        reused.checkHost().close();
      } catch (IOException e) {
        throw CheckHost.setUpFailure(e);
      }
    }
  }

  private void recordLeaks(String id, CheckContext context) throws CniException, IOException {
    for (NetNs netns : context.checkHost().namespaces()) {
      processesIn(netns).ifPresent(it -> processLeaks.add(id + ": " + it));
    }
    context.cleanUp();
    NetNsSnapshot left = context.leftovers();
    if (!left.isEmpty()) {
      stateLeaks.add(id + ": " + left);
    }
  }

  /** Returns a process in a namespace of the check, which only the plugin can have left there. */
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
      return false; // the process has ended
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
