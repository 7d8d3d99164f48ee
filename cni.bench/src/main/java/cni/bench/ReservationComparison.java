package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ComparisonTable.Goal;
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
final class ReservationComparison {
  private static final List<Integer> RESERVATIONS =
      List.of(0, 1_000, 10_000, 20_000, 40_000, 60_000);
  private static final List<Integer> RESERVATIONS_FOR_EXECUTABLES = List.of(0, 1_000, 20_000);
  private static final int WARM_UP_ADDS = 10_000;
  private static final int SAMPLES = 2_000;

  private final BenchNetworks lab;
  private final ComparisonTable table;

  ReservationComparison(BenchNetworks lab, ComparisonTable report) {
    this.lab = lab;
    this.table = report;
  }

  Chart run() throws Exception {
    Network modules = lab.addresses(Implementation.MODULES);
    addAndDelete(modules, WARM_UP_ADDS);
    List<Chart.Point> own = measure(modules, RESERVATIONS, SAMPLES);
    measureGc(modules, RESERVATIONS.getLast());
    List<Chart.Point> others =
        measure(lab.addresses(Implementation.EXECUTABLES), RESERVATIONS_FOR_EXECUTABLES, 6);
    for (int i = 0; i < own.size(); i++) {
      Chart.Point point = own.get(i);
      Optional<String> other =
          others.stream()
              .filter(it -> it.x() == point.x())
              .map(it -> ComparisonTable.millis(it.y()))
              .findFirst();
      table.addRow(
          "address, %.0f held".formatted(point.x()), ComparisonTable.millis(point.y()), other);
    }
    table.addRow(
        "address, 60000 held to none",
        ComparisonTable.millis(own.getLast().y()),
        Optional.empty(),
        Optional.empty(),
        "last / first",
        own.getLast().y() / own.getFirst().y(),
        Goal.atMost(1.2));
    return new Chart("An address from host-local over leases held", "leases", "ms")
        .withSeries("modules", own)
        .withSeries("Go executable", others);
  }

  private List<Chart.Point> measure(Network network, List<Integer> leases, int samples)
      throws Exception {
    List<Chart.Point> points = new ArrayList<>();
    for (int held : leases) {
      createReservations(lab.reservationDirectory(network), held);
      addAndDelete(network, samples); // what others have changed is looked at once
      points.add(new Chart.Point(held, addAndDelete(network, samples).medianMillis()));
    }
    return points;
  }

  private Timings addAndDelete(Network network, int count) throws Exception {
    long[] nanos = new long[count];
    for (int i = 0; i < count; i++) {
      Attachment attachment = lab.attachment(i % lab.containerCount());
      long begun = System.nanoTime();
      network.add(attachment);
      nanos[i] = System.nanoTime() - begun;
      network.delete(attachment);
    }
    return Timings.of(nanos);
  }

  /** Leases as another process would have made them. */
  private static void createReservations(Path directory, int count) throws IOException {
    for (int i = 0; i < count; i++) {
      Path file = directory.resolve("10.%d.%d.%d".formatted(200, 1 + i / 250, 1 + i % 250));
      if (!Files.exists(file)) {
        Files.write(file, ("held-" + i + "\r\neth0").getBytes(UTF_8));
      }
    }
  }

  /** All of them are stale but one. */
  private void measureGc(Network network, int count) throws Exception {
    Set<AttachmentId> valid = new HashSet<>(Set.of(new AttachmentId("held-7", "eth0")));
    long begun = System.nanoTime();
    network.gc(valid);
    double seconds = (System.nanoTime() - begun) / 1e9;
    table.addRow(
        "GC of %d leases".formatted(count),
        ComparisonTable.number(seconds) + " s",
        Optional.empty());
    try (var files = Files.list(lab.reservationDirectory(network))) {
      long left = files.filter(it -> it.getFileName().toString().startsWith("10.")).count();
      if (left != 1) {
        throw new IllegalStateException(left + " leases are left after GC");
      }
    }
  }
}
