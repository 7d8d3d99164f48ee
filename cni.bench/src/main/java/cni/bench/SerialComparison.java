package cni.bench;

import cni.api.CniException;
import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ComparisonTable.Goal;
import cni.runtime.Network;
import java.nio.file.Path;
import java.util.Optional;

/** One operation after the other, in a process that has been running for a while. */
final class SerialComparison {
  /** How often every container is attached before anything counts. */
  private static final int WARM_UP_ROUNDS = 80;

  private static final int ROUNDS = 4;
  private static final long SETTLE_MILLIS = 3_000;

  private final BenchNetworks lab;
  private final Path baselineProgram;
  private final ComparisonTable table;

  SerialComparison(BenchNetworks lab, Path floorProgram, ComparisonTable report) {
    this.lab = lab;
    this.baselineProgram = floorProgram;
    this.table = report;
  }

  /**
   * What was measured of a network.
   *
   * @param check absent if it fails
   */
  private record VerbTimings(Timings add, Optional<Timings> check, Timings delete) {
    VerbTimings plus(VerbTimings other) {
      Optional<Timings> checks = check.flatMap(it -> other.check.map(it::concat));
      return new VerbTimings(add.concat(other.add), checks, delete.concat(other.delete));
    }
  }

  /** Measures both chains, and returns the floor of the first one. */
  KernelBaseline run() throws Exception {
    Network bridge = lab.network(Implementation.MODULES, Chain.BRIDGE);
    warmUp(bridge);
    KernelBaseline floor = measureBaseline();
    VerbTimings modules = measure(bridge, lab.containerCount());
    for (int i = 1; i < ROUNDS; i++) {
      floor = floor.averageWith(measureBaseline());
      modules = modules.plus(measure(bridge, lab.containerCount()));
    }
    VerbTimings executables = measure(lab.network(Implementation.EXECUTABLES, Chain.BRIDGE), 20);
    addBaselineRows(floor, modules);
    addVerbRows(Chain.BRIDGE, modules, executables, 40, 40);

    Network rules = lab.network(Implementation.MODULES, Chain.RULES);
    warmUp(rules);
    modules = measure(rules, lab.containerCount());
    executables = measure(lab.network(Implementation.EXECUTABLES, Chain.RULES), 8);
    addVerbRows(Chain.RULES, modules, executables, 50, 40);
    return floor;
  }

  /** And waits until the kernel has done away with the namespaces that the program has left. */
  private KernelBaseline measureBaseline() throws Exception {
    KernelBaseline floor = KernelBaseline.measure(baselineProgram);
    Thread.sleep(SETTLE_MILLIS);
    return floor;
  }

  private void warmUp(Network network) throws Exception {
    for (int i = 0; i < WARM_UP_ROUNDS; i++) {
      for (int container = 0; container < lab.containerCount(); container++) {
        network.add(lab.attachment(container));
        network.check(lab.attachment(container));
      }
      ParallelRun.run(
          lab.containerCount(), lab.containerCount(), it -> network.delete(lab.attachment(it)));
    }
    measure(network, lab.containerCount() / 4);
  }

  private VerbTimings measure(Network network, int containers) throws Exception {
    return new VerbTimings(
        Timings.measure(containers, i -> network.add(lab.attachment(i))),
        measureCheck(network, containers),
        Timings.measure(containers, i -> network.delete(lab.attachment(i))));
  }

  /**
   * Old executables cannot check what they have made: portmap 1.1.1, which Debian 12 has, looks for
   * rules of IPv6 even for a container that has no such address.
   */
  private Optional<Timings> measureCheck(Network network, int containers) throws Exception {
    try {
      return Optional.of(Timings.measure(containers, i -> network.check(lab.attachment(i))));
    } catch (CniException e) {
      System.err.println("CHECK is not compared: " + e.getMessage());
      return Optional.empty();
    }
  }

  private void addBaselineRows(KernelBaseline floor, VerbTimings modules) {
    addBaselineRow("ADD", modules.add, floor.add(), 1.5);
    addBaselineRow("DEL", modules.delete, floor.delete(), 1.15);
  }

  private void addBaselineRow(String verb, Timings modules, double floor, double target) {
    table.addRow(
        verb + ", " + Chain.BRIDGE.title,
        ComparisonTable.millis(modules.medianMillis()),
        Optional.empty(),
        Optional.of(ComparisonTable.millis(floor)),
        "modules / floor",
        modules.medianMillis() / floor,
        Goal.atMost(target));
  }

  private void addVerbRows(
      Chain chain, VerbTimings modules, VerbTimings executables, double add, double check) {
    addRatioRow("ADD, " + chain.title, modules.add, executables.add, Goal.atLeast(add));
    addCheckRow("CHECK, " + chain.title, modules, executables, Goal.atLeast(check));
    table.addRow(
        "DEL, " + chain.title,
        ComparisonTable.millis(modules.delete.medianMillis()),
        Optional.of(ComparisonTable.millis(executables.delete.medianMillis())));
  }

  private void addCheckRow(String what, VerbTimings modules, VerbTimings executables, Goal target) {
    Timings own = modules.check.orElseThrow();
    if (executables.check.isPresent()) {
      addRatioRow(what, own, executables.check.get(), target);
    } else {
      table.addRow(what, ComparisonTable.millis(own.medianMillis()), Optional.of("fails"));
    }
  }

  private void addRatioRow(String what, Timings modules, Timings executables, Goal target) {
    table.addRow(
        what,
        ComparisonTable.millis(modules.medianMillis()),
        Optional.of(ComparisonTable.millis(executables.medianMillis())),
        Optional.empty(),
        "Go / modules",
        executables.medianMillis() / modules.medianMillis(),
        target);
  }
}
