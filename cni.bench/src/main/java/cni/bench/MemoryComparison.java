// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ComparisonTable.Goal;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** Measures the memory of a long-running process that uses the library, and the image's size. */
final class MemoryComparison {
  private static final int ADDS = 10_000;
  private static final double KIB_PER_MIB = 1024;

  private final BenchNetworks networks;
  private final Path image;
  private final ComparisonTable table;

  MemoryComparison(BenchNetworks networks, Path image, ComparisonTable table) {
    this.networks = networks;
    this.image = image;
    this.table = table;
  }

  void run() throws Exception {
    Network network = networks.network(Implementation.MODULES, Chain.BRIDGE);
    String[] namespaces = networks.namespaces().stream().map(Path::toString).toArray(String[]::new);
    String line =
        ExternalCommand.javaProgram(FootprintProgram.class, List.of("-XX:+UseSerialGC", "-Xmx64m"))
            .withArguments(
                String.valueOf(ADDS), networks.directory(network).toString(), network.name())
            .withArguments(namespaces)
            .run();
    String[] numbers = line.strip().split(" ", -1);
    double first = Double.parseDouble(numbers[0]) / KIB_PER_MIB;
    double last = Double.parseDouble(numbers[1]) / KIB_PER_MIB;
    addRow("live heap after %d ADDs".formatted(ADDS), last, "last / first", last / first, 1.1);
    double grown = Double.parseDouble(numbers[2]) / KIB_PER_MIB;
    addRow("growth of the resident set by then", grown, "MiB", grown, 20);
    double size = imageSize() / KIB_PER_MIB / KIB_PER_MIB;
    addRow("image", size, "MiB", size, 60);
  }

  private void addRow(String label, double size, String ratio, double value, double target) {
    table.addRow(
        label,
        ComparisonTable.number(size) + " MiB",
        Optional.empty(),
        Optional.empty(),
        ratio,
        value,
        Goal.atMost(target));
  }

  private double imageSize() throws IOException {
    double bytes = 0;
    try (Stream<Path> files = Files.walk(image)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        bytes += Files.size(file);
      }
    }
    return bytes;
  }
}
