package cni.bench;

import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ComparisonTable.Goal;
import cni.runtime.Network;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Many operations at once: what they share, and whether they stand in each other's way. */
final class ConcurrencyComparison {
  private static final List<Integer> THREADS = List.of(1, 2, 4, 8, 16, 32, 64);
  private static final int ROUNDS = 5;

  private final BenchNetworks lab;
  private final ComparisonTable table;

  ConcurrencyComparison(BenchNetworks lab, ComparisonTable report) {
    this.lab = lab;
    this.table = report;
  }

  /** Operations of each verb that are done in a second. */
  private record Throughput(double add, double delete) {}

  Chart run(KernelBaseline floor) throws Exception {
    Network modules = lab.network(Implementation.MODULES, Chain.BRIDGE);
    Network executables = lab.network(Implementation.EXECUTABLES, Chain.BRIDGE);
    List<Chart.Point> adds = new ArrayList<>();
    List<Chart.Point> deletes = new ArrayList<>();
    for (int threads : THREADS) {
      Throughput throughput = measureMedian(modules, threads);
      adds.add(new Chart.Point(threads, throughput.add));
      deletes.add(new Chart.Point(threads, throughput.delete));
    }
    List<Chart.Point> otherAdds = new ArrayList<>();
    List<Chart.Point> otherDeletes = new ArrayList<>();
    for (int threads : List.of(1, 8, 64)) {
      Throughput throughput =
          measure(executables, threads, Math.min(lab.containerCount(), 4 * threads));
      otherAdds.add(new Chart.Point(threads, throughput.add));
      otherDeletes.add(new Chart.Point(threads, throughput.delete));
    }
    addRow("ADD", adds, otherAdds, floor.add(), 0.8);
    addRow("DEL", deletes, otherDeletes, floor.delete(), 10);
    return new Chart("Operations a second over threads", "threads", "a second")
        .withSeries("ADD, modules", adds)
        .withSeries("DEL, modules", deletes)
        .withSeries("ADD, Go executables", otherAdds)
        .withSeries("DEL, Go executables", otherDeletes)
        .withReferenceLine("ADD, floor, one thread", 1000 / floor.add())
        .withReferenceLine("DEL, floor, one thread", 1000 / floor.delete());
  }

  private void addRow(
      String verb,
      List<Chart.Point> modules,
      List<Chart.Point> executables,
      double floor,
      double target) {
    double own = modules.getLast().y();
    table.addRow(
        verb + ", 64 at once",
        rate(own),
        Optional.of(rate(executables.getLast().y())),
        Optional.of(rate(1000 / floor) + ", one by one"),
        "modules / floor",
        own * floor / 1000,
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
              network, threads, threads == 1 ? lab.containerCount() / 4 : lab.containerCount()));
    }
    return new Throughput(
        rounds.stream().mapToDouble(Throughput::add).sorted().toArray()[ROUNDS / 2],
        rounds.stream().mapToDouble(Throughput::delete).sorted().toArray()[ROUNDS / 2]);
  }

  private Throughput measure(Network network, int threads, int containers) throws Exception {
    long add = ParallelRun.run(threads, containers, i -> network.add(lab.attachment(i)));
    long delete = ParallelRun.run(threads, containers, i -> network.delete(lab.attachment(i)));
    return new Throughput(containers * 1e9 / add, containers * 1e9 / delete);
  }
}
