package cni.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Compares this project with the reference plugins and with what the kernel needs at least, all in
 * one run: {@code bench/compare}. See docs/performance.md.
 */
public final class Comparison {
  /** How many containers there are at most. */
  private static final int CONTAINERS = 64;

  private Comparison() {}

  /**
   * Runs it.
   *
   * @param arguments the floor's program, the directory of the reference plugins, the image, and
   *     the directory for the pictures
   */
  public static void main(String... arguments) throws Exception {
    if (System.getenv("CNI_BENCH_APART") == null) {
      System.exit(runIsolated(arguments));
    }
    Path floorProgram = Path.of(arguments[0]);
    Path executables = Path.of(arguments[1]);
    Path image = Path.of(arguments[2]);
    Path pictures = Path.of(arguments[3]);
    var report = new ComparisonTable();
    try (BenchNetworks lab = BenchNetworks.open(CONTAINERS, executables)) {
      KernelBaseline floor = new SerialComparison(lab, floorProgram, report).run();
      Chart concurrency = new ConcurrencyComparison(lab, report).run(floor);
      Chart leases = new ReservationComparison(lab, report).run();
      new ProcessComparison(lab, executables, image, report).run();
      new MemoryComparison(lab, image, report).run();
      Files.createDirectories(pictures);
      Files.writeString(pictures.resolve("concurrency.svg"), concurrency.svg());
      Files.writeString(pictures.resolve("leases.svg"), leases.svg());
    }
    System.out.println(report);
  }

  /** In namespaces where nothing of the machine can be changed, and of which nothing stays. */
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
    builder.environment().put("CNI_BENCH_APART", "1");
    return builder.start().waitFor();
  }
}
