// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.api.CniException;
import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ComparisonTable.Goal;
import cni.runtime.Network;
import java.nio.file.Path;
import java.util.Optional;

/** Compares single operations in a warmed-up process. */
final class SerialComparison {
  /** How often every container is attached before measuring. */
  private static final int WARM_UP_ROUNDS = 80;

  private static final int ROUNDS = 4;
  private static final long SETTLE_MILLIS = 3_000;

  private final BenchNetworks networks;
  private final Path baselineProgram;
  private final ComparisonTable table;

  SerialComparison(BenchNetworks networks, Path baselineProgram, ComparisonTable table) {
    this.networks = networks;
    this.baselineProgram = baselineProgram;
    this.table = table;
  }

  /**
   * The durations of one network's verbs.
   *
   * @param check empty if CHECK fails
   */
  private record VerbTimings(Timings add, Optional<Timings> check, Timings delete) {
    VerbTimings plus(VerbTimings other) {
      Optional<Timings> checks = check.flatMap(it -> other.check.map(it::concat));
      return new VerbTimings(add.concat(other.add), checks, delete.concat(other.delete));
    }
  }

  /** Measures both chains, and returns the baseline of the first one. */
  KernelBaseline run() throws Exception {
    Network bridge = networks.network(Implementation.MODULES, Chain.BRIDGE);
    warmUp(bridge);
    KernelBaseline baseline = measureBaseline();
    VerbTimings modules = measure(bridge, networks.containerCount());
    for (int i = 1; i < ROUNDS; i++) {
      baseline = baseline.averageWith(measureBaseline());
      modules = modules.plus(measure(bridge, networks.containerCount()));
    }
    VerbTimings executables =
        measure(networks.network(Implementation.EXECUTABLES, Chain.BRIDGE), 20);
    addBaselineRows(baseline, modules);
    addVerbRows(Chain.BRIDGE, modules, executables, 40, 40);

    Network rules = networks.network(Implementation.MODULES, Chain.RULES);
    warmUp(rules);
    modules = measure(rules, networks.containerCount());
    executables = measure(networks.network(Implementation.EXECUTABLES, Chain.RULES), 8);
    addVerbRows(Chain.RULES, modules, executables, 50, 40);
    return baseline;
  }

  /** Measures, and waits until the kernel has removed the namespaces that the program used. */
  private KernelBaseline measureBaseline() throws Exception {
    KernelBaseline baseline = KernelBaseline.measure(baselineProgram);
    Thread.sleep(SETTLE_MILLIS);
    return baseline;
  }

  private void warmUp(Network network) throws Exception {
    for (int i = 0; i < WARM_UP_ROUNDS; i++) {
      for (int container = 0; container < networks.containerCount(); container++) {
        network.add(networks.attachment(network, container));
        network.check(networks.attachment(network, container));
      }
      ParallelRun.run(
          networks.containerCount(),
          networks.containerCount(),
          it -> network.delete(networks.attachment(network, it)));
    }
    measure(network, networks.containerCount() / 4);
  }

  private VerbTimings measure(Network network, int containers) throws Exception {
    return new VerbTimings(
        Timings.measure(containers, i -> network.add(networks.attachment(network, i))),
        measureCheck(network, containers),
        Timings.measure(containers, i -> network.delete(networks.attachment(network, i))));
  }

  /**
   * Measures CHECK, which fails with old executables: portmap 1.1.1 of Debian 12 looks for IPv6
   * rules even for a container without an IPv6 address.
   */
  private Optional<Timings> measureCheck(Network network, int containers) throws Exception {
    try {
      return Optional.of(
          Timings.measure(containers, i -> network.check(networks.attachment(network, i))));
    } catch (CniException e) {
      System.err.println("CHECK is not compared: " + e.getMessage());
      return Optional.empty();
    }
  }

  private void addBaselineRows(KernelBaseline baseline, VerbTimings modules) {
    addBaselineRow("ADD", modules.add, baseline.add(), 1.5);
    addBaselineRow("DEL", modules.delete, baseline.delete(), 1.15);
  }

  private void addBaselineRow(String verb, Timings modules, double baseline, double target) {
    table.addRow(
        verb + ", " + Chain.BRIDGE.title,
        ComparisonTable.millis(modules.medianMillis()),
        Optional.empty(),
        Optional.of(ComparisonTable.millis(baseline)),
        "modules / floor",
        modules.medianMillis() / baseline,
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

  private void addCheckRow(String label, VerbTimings modules, VerbTimings executables, Goal goal) {
    Timings check = modules.check.orElseThrow();
    if (executables.check.isPresent()) {
      addRatioRow(label, check, executables.check.get(), goal);
    } else {
      table.addRow(label, ComparisonTable.millis(check.medianMillis()), Optional.of("fails"));
    }
  }

  private void addRatioRow(String label, Timings modules, Timings executables, Goal goal) {
    table.addRow(
        label,
        ComparisonTable.millis(modules.medianMillis()),
        Optional.of(ComparisonTable.millis(executables.medianMillis())),
        Optional.empty(),
        "Go / modules",
        executables.medianMillis() / modules.medianMillis(),
        goal);
  }
}
