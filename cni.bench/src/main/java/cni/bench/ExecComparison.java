// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import static cni.bench.ComparisonTable.millis;

import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ChainExecs.VerbTimings;
import cni.bench.ComparisonTable.Goal;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Compares callers that execute plugins as container runtimes do: through the resident host, with
 * the image alone, and with the reference plugins.
 */
final class ExecComparison {
  private static final int BRIDGE_WARM_UP_ROUNDS = 16;
  private static final int POD_WARM_UP_ROUNDS = 4;
  private static final int ROUNDS = 4;
  private static final int BRIDGE_SAMPLES = 12;
  private static final int CHAIN_SAMPLES = 5;
  private static final int COMMAND_SAMPLES = 20;
  private static final int VERSION_SAMPLES = 50;

  /** Fewer than of the others, since every call of a plugin starts a JVM. */
  private static final int IMAGE_SAMPLES = 5;

  private static final int FALLBACK_ROUNDS = 5;
  private static final int CONCURRENT = 64;
  private static final int CONCURRENT_ROUNDS = 3;

  private final ExecNetworks execs;
  private final BenchNetworks networks;
  private final Path script;
  private final ComparisonTable table;

  ExecComparison(ExecNetworks execs, Path image, ComparisonTable table) {
    this.execs = execs;
    this.networks = execs.networks();
    this.script = image.resolve("bin/cni-jvm");
    this.table = table;
  }

  /**
   * Adds the rows.
   *
   * @param kernelDelete how long the kernel takes to delete a link, in milliseconds
   */
  void run(double kernelDelete) throws Exception {
    var bridge = new ChainExecs(execs, Chain.BRIDGE);
    var pod = new ChainExecs(execs, Chain.POD);
    compareBridge(bridge);
    compareVersion(bridge);
    comparePod(pod, kernelDelete);
    compareConcurrentAdds(bridge);
    compareConcurrentDeletes(bridge);
    compareCommand(pod.executableMedian(VerbTimings::add));
    if (Files.exists(script)) {
      compareFallback(bridge.image());
    }
  }

  private void compareBridge(ChainExecs bridge) throws Exception {
    Network modules = networks.network(Implementation.MODULES, Chain.BRIDGE);
    for (int i = 0; i < BRIDGE_WARM_UP_ROUNDS; i++) {
      addInProcess(modules, CONCURRENT);
    }
    warmUp(bridge, BRIDGE_WARM_UP_ROUNDS);
    bridge.measureImage(IMAGE_SAMPLES);
    Timings timings = Timings.of();
    for (int i = 0; i < ROUNDS; i++) {
      bridge.measure(BRIDGE_SAMPLES);
      timings = timings.concat(addInProcess(modules, BRIDGE_SAMPLES));
    }
    double inProcess = timings.medianMillis();
    addGoRow(Chain.BRIDGE, bridge, 1.0 / 3);
    Optional<Double> host = bridge.hostMedian(VerbTimings::add);
    if (host.isPresent()) {
      table.addRow(
          "ADD against the library, " + Chain.BRIDGE.title,
          List.of(millis(host), "", "", millis(inProcess) + " in process"),
          "ms above",
          host.get() - inProcess,
          Goal.atMost(4));
    }
    table.addRow("DEL, " + Chain.BRIDGE.title, bridge.medians(VerbTimings::delete));
  }

  /** Attaches containers with the modules, one after the other, and detaches them. */
  private Timings addInProcess(Network network, int containers) throws Exception {
    Timings add = Timings.measure(containers, i -> network.add(networks.attachment(network, i)));
    ParallelRun.run(containers, containers, i -> network.delete(networks.attachment(network, i)));
    return add;
  }

  private static void warmUp(ChainExecs chain, int rounds) throws IOException {
    if (chain.host().isPresent()) {
      for (int i = 0; i < rounds; i++) {
        addAtOnce(chain.host().get(), CONCURRENT);
      }
    }
  }

  private void addGoRow(Chain chain, ChainExecs execs, double target) {
    double executables = execs.executableMedian(VerbTimings::add);
    table.addRow(
        "ADD, " + chain.title,
        execs.medians(VerbTimings::add),
        "host / Go",
        execs.hostMedian(VerbTimings::add).map(it -> it / executables),
        Goal.atMost(target));
  }

  private void compareVersion(ChainExecs bridge) throws IOException {
    double executables = version(bridge.executables(), VERSION_SAMPLES).medianMillis();
    double image = version(bridge.image(), IMAGE_SAMPLES).medianMillis();
    Optional<Double> host = Optional.empty();
    if (bridge.host().isPresent()) {
      host = Optional.of(version(bridge.host().get(), VERSION_SAMPLES).medianMillis());
    }
    table.addRow(
        "VERSION, bridge",
        List.of(millis(host), millis(image), millis(executables)),
        "ms",
        host,
        Goal.atMost(3));
  }

  private static Timings version(Callers callers, int samples) throws IOException {
    return callers.run("VERSION", samples, 1).calls();
  }

  private void comparePod(ChainExecs pod, double kernelDelete) throws IOException {
    warmUp(pod, POD_WARM_UP_ROUNDS);
    pod.measureImage(IMAGE_SAMPLES);
    for (int i = 0; i < ROUNDS; i++) {
      pod.measure(CHAIN_SAMPLES);
    }
    addGoRow(Chain.POD, pod, 1.0 / 4);
    List<String> values = new ArrayList<>(pod.medians(VerbTimings::delete));
    values.add(millis(kernelDelete) + " one link");
    table.addRow(
        "DEL, " + Chain.POD.title,
        values,
        "ms above one link",
        pod.hostMedian(VerbTimings::delete).map(it -> it - kernelDelete),
        Goal.atMost(10));
  }

  /** Attaches and detaches all containers at once, and returns the duration of the former. */
  private static double addAtOnce(Callers callers, int containers) throws IOException {
    double add = callers.run("ADD", containers, CONCURRENT).wallMillis();
    callers.run("DEL", containers, containers);
    return add;
  }

  private void compareConcurrentAdds(ChainExecs bridge) throws IOException {
    double[] host = new double[CONCURRENT_ROUNDS];
    double[] executables = new double[CONCURRENT_ROUNDS];
    for (int i = 0; i < CONCURRENT_ROUNDS; i++) {
      if (bridge.host().isPresent()) {
        host[i] = addAtOnce(bridge.host().get(), CONCURRENT);
      }
      executables[i] = addAtOnce(bridge.executables(), CONCURRENT);
    }
    double goRate = CONCURRENT * 1000 / median(executables);
    Optional<Double> hostRate = bridge.host().map(it -> CONCURRENT * 1000 / median(host));
    table.addRow(
        "ADD, %d at once, %s".formatted(CONCURRENT, Chain.BRIDGE.title),
        List.of(hostRate.map(ExecComparison::rate).orElse(""), "", rate(goRate)),
        "host / Go",
        hostRate.map(it -> it / goRate),
        Goal.atLeast(4));
  }

  /** Detaches all containers at once, and compares with the reference and with a single DEL. */
  private void compareConcurrentDeletes(ChainExecs bridge) throws IOException {
    double[] host = new double[CONCURRENT_ROUNDS];
    double[] executables = new double[CONCURRENT_ROUNDS];
    for (int i = 0; i < CONCURRENT_ROUNDS; i++) {
      if (bridge.host().isPresent()) {
        host[i] = deleteAtOnce(bridge.host().get());
      }
      executables[i] = deleteAtOnce(bridge.executables());
    }
    double go = median(executables);
    Optional<Double> all = bridge.host().map(it -> median(host));
    String label = "DEL, %d at once, %s".formatted(networks.containerCount(), Chain.BRIDGE.title);
    List<String> values = List.of(millis(all), "", millis(go));
    if (all.isEmpty()) {
      table.addRow(label, values);
      return;
    }
    table.addRow(label, values, "host / Go", all.get() / go);
    double single = bridge.hostMedian(VerbTimings::delete).orElseThrow();
    table.addRow(
        label + " to one",
        List.of(millis(all), "", "", millis(single) + " one"),
        "all / one",
        all.get() / single);
  }

  private double deleteAtOnce(Callers callers) throws IOException {
    int containers = networks.containerCount();
    callers.run("ADD", containers, CONCURRENT);
    return callers.run("DEL", containers, containers).wallMillis();
  }

  private static double median(double... values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  private static String rate(double value) {
    return ComparisonTable.number(value) + "/s";
  }

  private void compareCommand(double executables) throws Exception {
    double image = addByCommand(Implementation.IMAGE, IMAGE_SAMPLES);
    Optional<Double> host = Optional.empty();
    if (execs.host().isPresent()) {
      host = Optional.of(addByCommand(Implementation.HOST, COMMAND_SAMPLES));
    }
    table.addRow(
        "cni add, " + Chain.POD.title,
        List.of(millis(host), millis(image), millis(executables)),
        "host / Go",
        host.map(it -> it / executables),
        Goal.atMost(1.0 / 4));
  }

  private double addByCommand(Implementation implementation, int containers) throws Exception {
    Callers callers = execs.command(implementation, Chain.POD);
    double add = callers.run("ADD", containers, 1).calls().medianMillis();
    callers.run("DEL", containers, 1);
    return add;
  }

  /** Compares the launcher that finds no host with the script that it executes then. */
  private void compareFallback(Callers launcher) throws Exception {
    Callers direct = execs.script(script);
    Timings withLauncher = Timings.of();
    Timings alone = Timings.of();
    for (int i = 0; i < FALLBACK_ROUNDS; i++) {
      withLauncher = withLauncher.concat(version(launcher, IMAGE_SAMPLES));
      alone = alone.concat(version(direct, IMAGE_SAMPLES));
    }
    table.addRow(
        "VERSION, launcher without a host",
        List.of(
            "",
            millis(withLauncher.medianMillis()),
            "",
            millis(alone.medianMillis()) + " bin/cni-jvm"),
        "ms above",
        withLauncher.medianMillis() - alone.medianMillis(),
        Goal.atMost(2));
  }
}
