package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.bench.Lab.Contender;
import cni.bench.Report.Target;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** host-local alone, over the number of leases that are held already. */
final class LeaseComparison {
  private static final List<Integer> LEASES = List.of(0, 1_000, 10_000, 20_000, 40_000, 60_000);
  private static final List<Integer> LEASES_OF_EXECUTABLES = List.of(0, 1_000, 20_000);
  private static final int WARM_UP = 10_000;
  private static final int SAMPLES = 2_000;

  private final Lab lab;
  private final Report report;

  LeaseComparison(Lab lab, Report report) {
    this.lab = lab;
    this.report = report;
  }

  Chart run() throws Exception {
    Network modules = lab.addresses(Contender.MODULES);
    addAndDelete(modules, WARM_UP);
    List<Chart.Point> own = measure(modules, LEASES, SAMPLES);
    collect(modules, LEASES.getLast());
    List<Chart.Point> others =
        measure(lab.addresses(Contender.EXECUTABLES), LEASES_OF_EXECUTABLES, 6);
    for (int i = 0; i < own.size(); i++) {
      Chart.Point point = own.get(i);
      Optional<String> other =
          others.stream()
              .filter(it -> it.x() == point.x())
              .map(it -> Report.millis(it.y()))
              .findFirst();
      report.add("address, %.0f held".formatted(point.x()), Report.millis(point.y()), other);
    }
    report.add(
        "address, 60000 held to none",
        Report.millis(own.getLast().y()),
        Optional.empty(),
        Optional.empty(),
        "last / first",
        own.getLast().y() / own.getFirst().y(),
        Target.atMost(1.2));
    return new Chart("An address from host-local over leases held", "leases", "ms")
        .line("modules", own)
        .line("Go executable", others);
  }

  private List<Chart.Point> measure(Network network, List<Integer> leases, int samples)
      throws Exception {
    List<Chart.Point> points = new ArrayList<>();
    for (int held : leases) {
      fill(lab.leases(network), held);
      addAndDelete(network, samples); // what others have changed is looked at once
      points.add(new Chart.Point(held, addAndDelete(network, samples).median()));
    }
    return points;
  }

  private Timing addAndDelete(Network network, int count) throws Exception {
    long[] nanos = new long[count];
    for (int i = 0; i < count; i++) {
      Attachment attachment = lab.attachment(i % lab.size());
      long begun = System.nanoTime();
      network.add(attachment);
      nanos[i] = System.nanoTime() - begun;
      network.delete(attachment);
    }
    return Timing.of(nanos);
  }

  /** Leases as another process would have made them. */
  private static void fill(Path directory, int count) throws IOException {
    for (int i = 0; i < count; i++) {
      Path file = directory.resolve("10.%d.%d.%d".formatted(200, 1 + i / 250, 1 + i % 250));
      if (!Files.exists(file)) {
        Files.write(file, ("held-" + i + "\r\neth0").getBytes(UTF_8));
      }
    }
  }

  /** All of them are stale but one. */
  private void collect(Network network, int count) throws Exception {
    Set<AttachmentId> valid = new HashSet<>(Set.of(new AttachmentId("held-7", "eth0")));
    long begun = System.nanoTime();
    network.collect(valid);
    double seconds = (System.nanoTime() - begun) / 1e9;
    report.add("GC of %d leases".formatted(count), Report.number(seconds) + " s", Optional.empty());
    try (var files = Files.list(lab.leases(network))) {
      long left = files.filter(it -> it.getFileName().toString().startsWith("10.")).count();
      if (left != 1) {
        throw new IllegalStateException(left + " leases are left after GC");
      }
    }
  }
}
