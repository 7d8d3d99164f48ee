package cni.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Compares this project with the reference plugins and with the kernel baseline in one run: {@code
 * bench/compare}. See docs/performance.md.
 */
public final class Comparison {
  private static final int CONTAINERS = 64;

  private Comparison() {}

  /**
   * Runs the comparison, prints the table and writes the charts.
   *
   * @param arguments the executable of bench/floor.c, the directory of the reference plugins, the
   *     directory of the image, and the directory for the charts
   */
  public static void main(String... arguments) throws Exception {
    if (System.getenv("CNI_BENCH_ISOLATED") == null) {
      System.exit(runIsolated(arguments));
    }
    Path baselineProgram = Path.of(arguments[0]);
    Path executables = Path.of(arguments[1]);
    Path image = Path.of(arguments[2]);
    Path charts = Path.of(arguments[3]);
    var table = new ComparisonTable();
    try (BenchNetworks networks = BenchNetworks.open(CONTAINERS, executables)) {
      KernelBaseline baseline = new SerialComparison(networks, baselineProgram, table).run();
      Chart concurrency = new ConcurrencyComparison(networks, table).run(baseline);
      Chart reservations = new ReservationComparison(networks, table).run();
      new ProcessComparison(networks, executables, image, table).run();
      new MemoryComparison(networks, image, table).run();
      Files.createDirectories(charts);
      Files.writeString(charts.resolve("concurrency.svg"), concurrency.svg());
      Files.writeString(charts.resolve("reservations.svg"), reservations.svg());
    }
    System.out.println(table);
  }

  /** Runs this program in new network and mount namespaces, so that it does not change the host. */
  private static int runIsolated(String... arguments) throws Exception {
    Files.createDirectories(Path.of("/run/netns"));
    String prepare = "mount -t tmpfs netns /run/netns && ip link set lo up && exec \"$0\" \"$@\"";
    List<String> command =
        new ArrayList<>(List.of("unshare", "--net", "--mount", "sh", "-c", prepare));
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(Comparison.class.getName());
    command.addAll(List.of(arguments));
    var builder = new ProcessBuilder(command).inheritIO();
    builder.environment().put("CNI_BENCH_ISOLATED", "1");
    return builder.start().waitFor();
  }
}
