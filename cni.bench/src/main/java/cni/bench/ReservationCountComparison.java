// SPDX-License-Identifier: Apache-2.0
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

/** Compares host-local alone, by the number of existing reservations. */
final class ReservationCountComparison {
  private static final List<Integer> RESERVATIONS =
      List.of(0, 1_000, 10_000, 20_000, 40_000, 60_000);
  private static final List<Integer> RESERVATIONS_FOR_EXECUTABLES = List.of(0, 1_000, 20_000);
  private static final int WARM_UP_ADDS = 10_000;
  private static final int SAMPLES = 2_000;

  private final BenchNetworks networks;
  private final ComparisonTable table;

  ReservationCountComparison(BenchNetworks networks, ComparisonTable table) {
    this.networks = networks;
    this.table = table;
  }

  Chart run() throws Exception {
    Network modules = networks.addresses(Implementation.MODULES);
    addAndDelete(modules, WARM_UP_ADDS);
    List<Chart.Point> modulePoints = measure(modules, RESERVATIONS, SAMPLES);
    measureGc(modules, RESERVATIONS.getLast());
    List<Chart.Point> executablePoints =
        measure(networks.addresses(Implementation.EXECUTABLES), RESERVATIONS_FOR_EXECUTABLES, 6);
    for (int i = 0; i < modulePoints.size(); i++) {
      Chart.Point point = modulePoints.get(i);
      Optional<String> executable =
          executablePoints.stream()
              .filter(it -> it.x() == point.x())
              .map(it -> ComparisonTable.millis(it.y()))
              .findFirst();
      table.addRow(
          "address, %.0f reserved".formatted(point.x()),
          ComparisonTable.millis(point.y()),
          executable);
    }
    table.addRow(
        "address, 60000 reserved to none",
        ComparisonTable.millis(modulePoints.getLast().y()),
        Optional.empty(),
        Optional.empty(),
        "last / first",
        modulePoints.getLast().y() / modulePoints.getFirst().y(),
        Goal.atMost(1.2));
    return new Chart("An address from host-local over reservations", "reservations", "ms")
        .addSeries("modules", modulePoints)
        .addSeries("Go executable", executablePoints);
  }

  private List<Chart.Point> measure(Network network, List<Integer> reservations, int samples)
      throws Exception {
    List<Chart.Point> points = new ArrayList<>();
    for (int count : reservations) {
      createReservations(networks.reservationDirectory(network), count);
      addAndDelete(network, samples); // the first access rereads the changed files
      points.add(new Chart.Point(count, addAndDelete(network, samples).medianMillis()));
    }
    return points;
  }

  private Timings addAndDelete(Network network, int count) throws Exception {
    long[] nanos = new long[count];
    for (int i = 0; i < count; i++) {
      Attachment attachment = networks.attachment(network, i % networks.containerCount());
      long start = System.nanoTime();
      network.add(attachment);
      nanos[i] = System.nanoTime() - start;
      network.delete(attachment);
    }
    return Timings.of(nanos);
  }

  /** Creates reservations as another process would, up to the given number. */
  private static void createReservations(Path directory, int count) throws IOException {
    for (int i = 0; i < count; i++) {
      Path file = directory.resolve("10.%d.%d.%d".formatted(200, 1 + i / 250, 1 + i % 250));
      if (!Files.exists(file)) {
        Files.write(file, ("held-" + i + "\r\neth0").getBytes(UTF_8));
      }
    }
  }

  /** Measures a GC for which all reservations but one are stale. */
  private void measureGc(Network network, int count) throws Exception {
    Set<AttachmentId> valid = new HashSet<>(Set.of(new AttachmentId("held-7", "eth0")));
    long start = System.nanoTime();
    network.gc(valid);
    double seconds = (System.nanoTime() - start) / 1e9;
    table.addRow(
        "GC of %d reservations".formatted(count),
        ComparisonTable.number(seconds) + " s",
        Optional.empty());
    try (var files = Files.list(networks.reservationDirectory(network))) {
      long left = files.filter(it -> it.getFileName().toString().startsWith("10.")).count();
      if (left != 1) {
        throw new IllegalStateException(left + " reservations are left after GC");
      }
    }
  }
}
