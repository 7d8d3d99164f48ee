package cni.conformance;

import cni.api.CniException;
import cni.api.SpecVersion;
import cni.conformance.Report.Finding;
import cni.conformance.Report.Outcome;
import cni.netlink.ffm.NetNs;
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
  private static final String NOTHING_LEFT = "LEAK-1";
  private static final String NO_PROCESS_LEFT = "LEAK-2";
  private static final String NO_DESCRIPTOR_LEFT = "LEAK-3";
  private static final String UNDO =
      "The container runtime must ensure that add is eventually followed by a corresponding delete."
          + " [Plugins should] undo any modifications applied in the plugin's ADD functionality";

  /** Sockets may be kept for the next call for a while. */
  private static final Duration CLOSING = Duration.ofSeconds(5);

  /** Descriptors come and go with threads and classes; each case may leak only its own. */
  private static final int DESCRIPTORS_IN_PASSING = 16;

  private final Subject subject;
  private final Setting setting;
  private final List<Path> pluginPath;
  private final List<String> leaks = new ArrayList<>();
  private final List<String> processes = new ArrayList<>();

  /**
   * An examination of a plugin whose delegates are modules.
   *
   * @param setting what it is examined with
   */
  public Conformance(Subject subject, Setting setting) {
    this(subject, setting, List.of());
  }

  /**
   * An examination.
   *
   * @param setting what it is examined with
   * @param pluginPath directories with executables that it may delegate to
   */
  public Conformance(Subject subject, Setting setting, List<Path> pluginPath) {
    this.subject = subject;
    this.setting = setting;
    this.pluginPath = List.copyOf(pluginPath);
  }

  /** Every requirement, in order. */
  static List<Requirement> requirements() {
    return Stream.of(
            ProtocolRequirements.LIST,
            AttachmentRequirements.LIST,
            RemovalRequirements.LIST,
            ProbeRequirements.LIST,
            DelegationRequirements.LIST,
            HostileRequirements.LIST)
        .flatMap(List::stream)
        .toList();
  }

  /**
   * Runs all checks.
   *
   * @throws CniException code 5 if nothing can be examined here, code 7 if the plugin does not work
   *     in this setting at all
   */
  public Report run() throws CniException {
    return run(finding -> {});
  }

  /**
   * Runs all checks.
   *
   * @param listener is told of each as soon as it is done
   * @throws CniException code 5 if nothing can be examined here, code 7 if the plugin does not work
   *     in this setting at all
   */
  public Report run(Consumer<Finding> listener) throws CniException {
    List<SpecVersion> supported = Capability.versions(subject, setting, pluginPath);
    SpecVersion version = supported.getLast();
    Capability.requireAdd(subject, setting, version, pluginPath);
    List<Finding> findings = new ArrayList<>();
    Consumer<Finding> taker = findings::add;
    taker = taker.andThen(listener);
    long descriptors = descriptors();
    for (Requirement requirement : requirements()) {
      if (requirement.roles().contains(setting.role())) {
        taker.accept(examine(requirement, version, supported));
      }
    }
    addLeaks(taker, descriptors);
    return new Report(subject.describe(), version.toString(), List.copyOf(findings));
  }

  private void addLeaks(Consumer<Finding> taker, long descriptors) {
    taker.accept(
        leak(NOTHING_LEFT, "no check leaves links, addresses, routes, rules or files", leaks));
    taker.accept(leak(NO_PROCESS_LEFT, "no check leaves a process", processes));
    if (subject.inProcess()) {
      long more = descriptors() - descriptors;
      for (long end = System.nanoTime() + CLOSING.toNanos();
          more > DESCRIPTORS_IN_PASSING && System.nanoTime() < end; ) {
        Trial.pause();
        more = descriptors() - descriptors;
      }
      taker.accept(
          leak(
              NO_DESCRIPTOR_LEFT,
              "the checks leave no descriptors open",
              more <= DESCRIPTORS_IN_PASSING
                  ? List.of()
                  : List.of(more + " more are open than before")));
    }
  }

  private static Finding leak(String id, String title, List<String> seen) {
    return new Finding(
        id,
        title,
        "3, Lifecycle & Ordering",
        UNDO,
        seen.isEmpty() ? Outcome.PASSED : Outcome.FAILED,
        String.join("; ", seen),
        Duration.ZERO);
  }

  private Finding examine(Requirement requirement, SpecVersion version, List<SpecVersion> supported)
      throws CniException {
    long begin = System.nanoTime();
    Outcome outcome = Outcome.PASSED;
    String seen = "";
    try (var stage = new Stage(subject, setting, version, pluginPath)) {
      Trial trial = Trial.begin(stage, supported);
      try {
        requirement.body().run(trial);
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
        noteLeaks(requirement.id(), trial);
      }
    } catch (IOException e) {
      throw Stage.notPossible(e);
    }
    return new Finding(
        requirement.id(),
        requirement.title(),
        requirement.section(),
        requirement.sentence(),
        outcome,
        seen,
        Duration.ofNanos(System.nanoTime() - begin));
  }

  private void noteLeaks(String id, Trial trial) throws CniException, IOException {
    for (NetNs netns : trial.stage().namespaces()) {
      processesIn(netns).ifPresent(it -> processes.add(id + ": " + it));
    }
    trial.cleanUp();
    State left = trial.leftOver();
    if (!left.isEmpty()) {
      leaks.add(id + ": " + left);
    }
  }

  /** A process of somebody else's in a namespace, which only the plugin can have left there. */
  private static Optional<String> processesIn(NetNs netns) throws IOException {
    NetNs.Identity identity = netns.identity();
    String link = "net:[" + identity.inode() + "]";
    try (Stream<Path> all = Files.list(Path.of("/proc"))) {
      return all.filter(it -> it.getFileName().toString().matches("\\d+"))
          .filter(it -> isIn(it, link))
          .map(it -> "process " + it.getFileName() + " " + command(it))
          .findFirst();
    }
  }

  private static boolean isIn(Path process, String link) {
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

  private static long descriptors() {
    try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
      return all.count();
    } catch (IOException e) {
      return 0;
    }
  }
}
