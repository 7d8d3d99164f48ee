package cni.bench;

import cni.bench.Lab.Chain;
import cni.bench.Lab.Contender;
import cni.bench.Report.Target;
import cni.runtime.Network;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Many operations at once: what they share, and whether they stand in each other's way. */
final class ConcurrencyComparison {
  private static final List<Integer> THREADS = List.of(1, 2, 4, 8, 16, 32, 64);
  private static final int ROUNDS = 5;

  private final Lab lab;
  private final Report report;

  ConcurrencyComparison(Lab lab, Report report) {
    this.lab = lab;
    this.report = report;
  }

  /** Operations of each verb that are done in a second. */
  private record Throughput(double add, double delete) {}

  Chart run(Floor floor) throws Exception {
    Network modules = lab.network(Contender.MODULES, Chain.BRIDGE);
    Network executables = lab.network(Contender.EXECUTABLES, Chain.BRIDGE);
    List<Chart.Point> adds = new ArrayList<>();
    List<Chart.Point> deletes = new ArrayList<>();
    for (int threads : THREADS) {
      Throughput throughput = median(modules, threads);
      adds.add(new Chart.Point(threads, throughput.add));
      deletes.add(new Chart.Point(threads, throughput.delete));
    }
    List<Chart.Point> otherAdds = new ArrayList<>();
    List<Chart.Point> otherDeletes = new ArrayList<>();
    for (int threads : List.of(1, 8, 64)) {
      Throughput throughput = measure(executables, threads, Math.min(lab.size(), 4 * threads));
      otherAdds.add(new Chart.Point(threads, throughput.add));
      otherDeletes.add(new Chart.Point(threads, throughput.delete));
    }
    addRow("ADD", adds, otherAdds, floor.add(), 0.8);
    addRow("DEL", deletes, otherDeletes, floor.delete(), 10);
    return new Chart("Operations a second over threads", "threads", "a second")
        .line("ADD, modules", adds)
        .line("DEL, modules", deletes)
        .line("ADD, Go executables", otherAdds)
        .line("DEL, Go executables", otherDeletes)
        .level("ADD, floor, one thread", 1000 / floor.add())
        .level("DEL, floor, one thread", 1000 / floor.delete());
  }

  private void addRow(
      String verb,
      List<Chart.Point> modules,
      List<Chart.Point> executables,
      double floor,
      double target) {
    double own = modules.getLast().y();
    report.add(
        verb + ", 64 at once",
        rate(own),
        Optional.of(rate(executables.getLast().y())),
        Optional.of(rate(1000 / floor) + ", one by one"),
        "modules / floor",
        own * floor / 1000,
        Target.atLeast(target));
  }

  private static String rate(double value) {
    return Report.number(value) + "/s";
  }

  private Throughput median(Network network, int threads) throws Exception {
    List<Throughput> rounds = new ArrayList<>();
    for (int i = 0; i < ROUNDS; i++) {
      rounds.add(measure(network, threads, threads == 1 ? lab.size() / 4 : lab.size()));
    }
    return new Throughput(
        rounds.stream().mapToDouble(Throughput::add).sorted().toArray()[ROUNDS / 2],
        rounds.stream().mapToDouble(Throughput::delete).sorted().toArray()[ROUNDS / 2]);
  }

  private Throughput measure(Network network, int threads, int containers) throws Exception {
    long add = Crowd.run(threads, containers, i -> network.add(lab.attachment(i)));
    long delete = Crowd.run(threads, containers, i -> network.delete(lab.attachment(i)));
    return new Throughput(containers * 1e9 / add, containers * 1e9 / delete);
  }
}
