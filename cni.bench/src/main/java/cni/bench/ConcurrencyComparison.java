// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ComparisonTable.Goal;
import cni.runtime.Network;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Compares the throughput of concurrent operations. */
final class ConcurrencyComparison {
  private static final List<Integer> THREADS = List.of(1, 2, 4, 8, 16, 32, 64);
  private static final int ROUNDS = 5;

  private final BenchNetworks networks;
  private final ComparisonTable table;

  ConcurrencyComparison(BenchNetworks networks, ComparisonTable table) {
    this.networks = networks;
    this.table = table;
  }

  /** Operations per second of each verb. */
  private record Throughput(double add, double delete) {}

  Chart run(KernelBaseline baseline) throws Exception {
    Network modules = networks.network(Implementation.MODULES, Chain.BRIDGE);
    Network executables = networks.network(Implementation.EXECUTABLES, Chain.BRIDGE);
    List<Chart.Point> adds = new ArrayList<>();
    List<Chart.Point> deletes = new ArrayList<>();
    for (int threads : THREADS) {
      Throughput throughput = measureMedian(modules, threads);
      adds.add(new Chart.Point(threads, throughput.add));
      deletes.add(new Chart.Point(threads, throughput.delete));
    }
    List<Chart.Point> executableAdds = new ArrayList<>();
    List<Chart.Point> executableDeletes = new ArrayList<>();
    for (int threads : List.of(1, 8, 64)) {
      Throughput throughput =
          measure(executables, threads, Math.min(networks.containerCount(), 4 * threads));
      executableAdds.add(new Chart.Point(threads, throughput.add));
      executableDeletes.add(new Chart.Point(threads, throughput.delete));
    }
    addRow("ADD", adds, executableAdds, baseline.add(), 0.8);
    addRow("DEL", deletes, executableDeletes, baseline.delete(), 10);
    return new Chart("Operations a second over threads", "threads", "a second")
        .addSeries("ADD, modules", adds)
        .addSeries("DEL, modules", deletes)
        .addSeries("ADD, Go executables", executableAdds)
        .addSeries("DEL, Go executables", executableDeletes)
        .addReferenceLine("ADD, floor, one thread", 1000 / baseline.add())
        .addReferenceLine("DEL, floor, one thread", 1000 / baseline.delete());
  }

  private void addRow(
      String verb,
      List<Chart.Point> modules,
      List<Chart.Point> executables,
      double baseline,
      double target) {
    double last = modules.getLast().y();
    table.addRow(
        verb + ", 64 at once",
        rate(last),
        Optional.of(rate(executables.getLast().y())),
        Optional.of(rate(1000 / baseline) + ", one by one"),
        "modules / floor",
        last * baseline / 1000,
        Goal.atLeast(target));
  }

  private static String rate(double value) {
    return ComparisonTable.number(value) + "/s";
  }

  private Throughput measureMedian(Network network, int threads) throws Exception {
    List<Throughput> rounds = new ArrayList<>();
    for (int i = 0; i < ROUNDS; i++) {
      rounds.add(
          measure(
              network,
              threads,
              threads == 1 ? networks.containerCount() / 4 : networks.containerCount()));
    }
    return new Throughput(
        rounds.stream().mapToDouble(Throughput::add).sorted().toArray()[ROUNDS / 2],
        rounds.stream().mapToDouble(Throughput::delete).sorted().toArray()[ROUNDS / 2]);
  }

  private Throughput measure(Network network, int threads, int containers) throws Exception {
    long add =
        ParallelRun.run(threads, containers, i -> network.add(networks.attachment(network, i)));
    long delete =
        ParallelRun.run(threads, containers, i -> network.delete(networks.attachment(network, i)));
    return new Throughput(containers * 1e9 / add, containers * 1e9 / delete);
  }
}
