// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Compares this project with the reference plugins and with the kernel baseline in one run: {@code
 * bench/compare}. See docs/performance.md.
 */
public final class Comparison {
  private static final int CONTAINERS = 64;
  private static final int EXEC_CONTAINERS = 200;
  private static final int FIRST_SECTION = 4;

  private final Path baselineProgram;
  private final Path callersProgram;
  private final Path executables;
  private final Path image;
  private final Path charts;
  private final Set<Section> sections;

  private final ComparisonTable table = new ComparisonTable("modules", "Go executables", "floor");
  private final ComparisonTable execTable =
      new ComparisonTable("host", "no host", "Go executables", "other");

  private Comparison(String... arguments) {
    baselineProgram = Path.of(arguments[0], "floor");
    callersProgram = Path.of(arguments[0], "callers");
    executables = Path.of(arguments[1]);
    image = Path.of(arguments[2]);
    charts = Path.of(arguments[3]);
    sections = Section.parse(List.of(arguments).subList(FIRST_SECTION, arguments.length));
  }

  /** The parts of the comparison. */
  private enum Section {
    /** Operations of one process with the library, one by one and at once. */
    LIBRARY,
    /** Updates and repairs of attachments. */
    UPDATE,
    /** Policies, their changes and traffic under them. */
    POLICY,
    /** Addresses over the number of reservations. */
    RESERVATIONS,
    /** Processes that do one ADD. */
    PROCESSES,
    /** Memory and the size of the image. */
    MEMORY,
    /** Callers that execute plugins. */
    EXEC,
    /** The resident host's start, memory and idleness. */
    HOST,
    /** HOST with five times as many ADDs; only on request. */
    SOAK;

    static Set<Section> parse(List<String> names) {
      if (names.isEmpty()) {
        return EnumSet.complementOf(EnumSet.of(SOAK));
      }
      Set<Section> sections = EnumSet.noneOf(Section.class);
      for (String name : names) {
        sections.add(of(name));
      }
      return sections;
    }

    private static Section of(String name) {
      return Arrays.stream(values())
          .filter(it -> it.toString().equals(name))
          .findFirst()
          .orElseThrow(
              () ->
                  new IllegalArgumentException(
                      "%s is not a section; there are %s"
                          .formatted(
                              name,
                              Arrays.stream(values())
                                  .map(Section::toString)
                                  .collect(Collectors.joining(", ")))));
    }

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * Runs the comparison, prints the tables and writes the charts.
   *
   * @param arguments the directory of the executables of bench/floor.c and bench/callers.c, the
   *     directory of the reference plugins, the directory of the image, the directory for the
   *     charts, and the sections to run: library, update, policy, reservations, processes, memory,
   *     exec, host, soak; all but soak if there are none
   */
  public static void main(String... arguments) throws Exception {
    if (System.getenv("CNI_BENCH_ISOLATED") == null) {
      System.exit(runIsolated(arguments));
    }
    new Comparison(arguments).run();
  }

  private void run() throws Exception {
    Files.createDirectories(charts);
    if (has(
        Section.LIBRARY, Section.UPDATE, Section.RESERVATIONS, Section.PROCESSES, Section.MEMORY)) {
      compareLibrary();
      System.out.println(table);
    }
    if (has(Section.POLICY)) {
      comparePolicies();
    }
    if (has(Section.EXEC, Section.HOST, Section.SOAK)) {
      try {
        compareExecs();
      } finally {
        System.out.println("Callers that execute plugins:\n");
        System.out.println(execTable);
      }
    }
  }

  private boolean has(Section... wanted) {
    return Arrays.stream(wanted).anyMatch(sections::contains);
  }

  private void compareLibrary() throws Exception {
    try (BenchNetworks networks = BenchNetworks.open(CONTAINERS, executables)) {
      if (has(Section.LIBRARY)) {
        KernelBaseline baseline = new SerialComparison(networks, baselineProgram, table).run();
        Chart concurrency = new ConcurrencyComparison(networks, table).run(baseline);
        Files.writeString(charts.resolve("concurrency.svg"), concurrency.svg());
      }
      if (has(Section.UPDATE)) {
        new UpdateComparison(networks, table).run();
      }
      if (has(Section.RESERVATIONS)) {
        Chart reservations = new ReservationCountComparison(networks, table).run();
        Files.writeString(charts.resolve("reservations.svg"), reservations.svg());
      }
      if (has(Section.PROCESSES)) {
        new ProcessComparison(networks, executables, image, table).run();
      }
      if (has(Section.MEMORY)) {
        new MemoryComparison(networks, image, table).run();
      }
    }
  }

  private static void comparePolicies() throws Exception {
    var policyTable = new ComparisonTable("modules", "of the plugin without policies");
    try {
      new PolicyComparison(policyTable).run();
      new PolicyTraffic(policyTable).run();
    } finally {
      System.out.println("Policies:\n");
      System.out.println(policyTable);
    }
  }

  private void compareExecs() throws Exception {
    double kernelDelete = has(Section.EXEC) ? KernelBaseline.measure(baselineProgram).delete() : 0;
    try (ExecNetworks execs =
        ExecNetworks.open(EXEC_CONTAINERS, callersProgram, executables, image)) {
      if (has(Section.EXEC)) {
        new ExecComparison(execs, image, execTable).run(kernelDelete);
      }
      if (execs.host().isPresent() && has(Section.HOST, Section.SOAK)) {
        new HostComparison(execs, execs.host().get(), execTable).run(has(Section.SOAK));
      }
    }
  }

  /** Runs this program in new network and mount namespaces, so that it does not change the host. */
  private static int runIsolated(String... arguments) throws Exception {
    String prepare =
        "mount -t tmpfs run /run && mkdir /run/netns && ip link set lo up && exec \"$0\" \"$@\"";
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
