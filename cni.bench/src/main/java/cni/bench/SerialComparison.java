package cni.bench;

import cni.api.CniException;
import cni.bench.Lab.Chain;
import cni.bench.Lab.Contender;
import cni.bench.Report.Target;
import cni.runtime.Network;
import java.nio.file.Path;
import java.util.Optional;

/** One operation after the other, in a process that has been running for a while. */
final class SerialComparison {
  /** How often every container is attached before anything counts. */
  private static final int WARM_UP = 80;

  private static final int ROUNDS = 4;
  private static final long SETTLE_MILLIS = 3_000;

  private final Lab lab;
  private final Path floorProgram;
  private final Report report;

  SerialComparison(Lab lab, Path floorProgram, Report report) {
    this.lab = lab;
    this.floorProgram = floorProgram;
    this.report = report;
  }

  /**
   * What was measured of a network.
   *
   * @param check absent if it fails
   */
  private record Verbs(Timing add, Optional<Timing> check, Timing delete) {
    Verbs and(Verbs other) {
      Optional<Timing> checks = check.flatMap(it -> other.check.map(it::plus));
      return new Verbs(add.plus(other.add), checks, delete.plus(other.delete));
    }
  }

  /** Measures both chains, and returns the floor of the first one. */
  Floor run() throws Exception {
    Network bridge = lab.network(Contender.MODULES, Chain.BRIDGE);
    warmUp(bridge);
    Floor floor = floor();
    Verbs modules = measure(bridge, lab.size());
    for (int i = 1; i < ROUNDS; i++) {
      floor = floor.and(floor());
      modules = modules.and(measure(bridge, lab.size()));
    }
    Verbs executables = measure(lab.network(Contender.EXECUTABLES, Chain.BRIDGE), 20);
    reportFloor(floor, modules);
    reportVerbs(Chain.BRIDGE, modules, executables, 40, 40);

    Network rules = lab.network(Contender.MODULES, Chain.RULES);
    warmUp(rules);
    modules = measure(rules, lab.size());
    executables = measure(lab.network(Contender.EXECUTABLES, Chain.RULES), 8);
    reportVerbs(Chain.RULES, modules, executables, 50, 40);
    return floor;
  }

  /** And waits until the kernel has done away with the namespaces that the program has left. */
  private Floor floor() throws Exception {
    Floor floor = Floor.measure(floorProgram);
    Thread.sleep(SETTLE_MILLIS);
    return floor;
  }

  private void warmUp(Network network) throws Exception {
    for (int i = 0; i < WARM_UP; i++) {
      for (int container = 0; container < lab.size(); container++) {
        network.add(lab.attachment(container));
        network.check(lab.attachment(container));
      }
      Crowd.run(lab.size(), lab.size(), it -> network.delete(lab.attachment(it)));
    }
    measure(network, lab.size() / 4);
  }

  private Verbs measure(Network network, int containers) throws Exception {
    return new Verbs(
        Timing.measure(containers, i -> network.add(lab.attachment(i))),
        measureCheck(network, containers),
        Timing.measure(containers, i -> network.delete(lab.attachment(i))));
  }

  /**
   * Old executables cannot check what they have made: portmap 1.1.1, which Debian 12 has, looks for
   * rules of IPv6 even for a container that has no such address.
   */
  private Optional<Timing> measureCheck(Network network, int containers) throws Exception {
    try {
      return Optional.of(Timing.measure(containers, i -> network.check(lab.attachment(i))));
    } catch (CniException e) {
      System.err.println("CHECK is not compared: " + e.getMessage());
      return Optional.empty();
    }
  }

  private void reportFloor(Floor floor, Verbs modules) {
    addFloor("ADD", modules.add, floor.add(), 1.5);
    addFloor("DEL", modules.delete, floor.delete(), 1.15);
  }

  private void addFloor(String verb, Timing modules, double floor, double target) {
    report.add(
        verb + ", " + Chain.BRIDGE.title,
        Report.millis(modules.median()),
        Optional.empty(),
        Optional.of(Report.millis(floor)),
        "modules / floor",
        modules.median() / floor,
        Target.atMost(target));
  }

  private void reportVerbs(
      Chain chain, Verbs modules, Verbs executables, double add, double check) {
    addVerb("ADD, " + chain.title, modules.add, executables.add, Target.atLeast(add));
    addCheck("CHECK, " + chain.title, modules, executables, Target.atLeast(check));
    report.add(
        "DEL, " + chain.title,
        Report.millis(modules.delete.median()),
        Optional.of(Report.millis(executables.delete.median())));
  }

  private void addCheck(String what, Verbs modules, Verbs executables, Target target) {
    Timing own = modules.check.orElseThrow();
    if (executables.check.isPresent()) {
      addVerb(what, own, executables.check.get(), target);
    } else {
      report.add(what, Report.millis(own.median()), Optional.of("fails"));
    }
  }

  private void addVerb(String what, Timing modules, Timing executables, Target target) {
    report.add(
        what,
        Report.millis(modules.median()),
        Optional.of(Report.millis(executables.median())),
        Optional.empty(),
        "Go / modules",
        executables.median() / modules.median(),
        target);
  }
}
