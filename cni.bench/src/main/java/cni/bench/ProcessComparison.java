package cni.bench;

import cni.api.Attachment;
import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ComparisonTable.Goal;
import cni.runtime.Network;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a process takes to its first ADD: with the library, the command, and as an executable. */
final class ProcessComparison {
  private static final int SAMPLES = 11;

  /** Of the chain by the executables. */
  private static final int EXECUTABLE_CHAIN_SAMPLES = 5;

  private final BenchNetworks lab;
  private final Path executables;
  private final Path command;
  private final ComparisonTable table;

  ProcessComparison(BenchNetworks lab, Path executables, Path image, ComparisonTable report) {
    this.lab = lab;
    this.executables = executables;
    this.command = image.resolve("bin/cni");
    this.table = report;
  }

  void run() throws Exception {
    Network bridge = lab.network(Implementation.MODULES, Chain.BRIDGE);
    measureFirstAdd(bridge);
    measureExecutable(bridge);
    Timings alone = command(bridge);
    table.addRow(
        "cni add, " + Chain.BRIDGE.title,
        ComparisonTable.millis(alone.medianMillis()),
        Optional.empty());
    Timings chain = command(lab.network(Implementation.MODULES, Chain.RULES));
    Network reference = lab.network(Implementation.EXECUTABLES, Chain.RULES);
    Timings executed =
        Timings.measure(EXECUTABLE_CHAIN_SAMPLES, i -> reference.add(lab.attachment(i)));
    detach(reference, EXECUTABLE_CHAIN_SAMPLES);
    table.addRow(
        "cni add, " + Chain.RULES.title,
        ComparisonTable.millis(chain.medianMillis()),
        Optional.of(ComparisonTable.millis(executed.medianMillis())),
        Optional.empty(),
        "modules / Go",
        chain.medianMillis() / executed.medianMillis(),
        Goal.atMost(1));
  }

  /** One process for each container, and then they are detached. */
  private Timings measure(Network network, Timings.Operation work) throws Exception {
    Timings timing = Timings.measure(SAMPLES, work);
    detach(network, SAMPLES);
    return timing;
  }

  private void detach(Network network, int containers) throws Exception {
    ParallelRun.run(containers, containers, i -> network.delete(lab.attachment(i)));
  }

  private void measureFirstAdd(Network network) throws Exception {
    String directory = lab.directory(network).toString();
    Timings timing =
        measure(
            network,
            i -> {
              Attachment attachment = lab.attachment(i);
              String namespace = lab.namespaces().get(i).toString();
              ExternalCommand.javaProgram(FirstAddProgram.class, List.of())
                  .withArguments(directory, network.name(), attachment.containerId(), namespace)
                  .run();
            });
    table.addRow(
        "first ADD of a process with the library",
        ComparisonTable.millis(timing.medianMillis()),
        Optional.empty(),
        Optional.empty(),
        "ms",
        timing.medianMillis(),
        Goal.atMost(150));
  }

  /** The image's command, which serves the whole chain in one process. */
  private Timings command(Network network) throws Exception {
    String directory = lab.directory(network).toString();
    return measure(
        network,
        i -> {
          Attachment attachment = lab.attachment(i);
          ExternalCommand.of(
                  command.toString(), "add", "--networks", directory, "--cache", directory)
              .withArguments("--container-id", attachment.containerId())
              .withArguments(network.name(), lab.namespaces().get(i).toString())
              .withEnvironment(Map.of("CAP_ARGS", lab.capabilityArgs(i)))
              .run();
        });
  }

  /** As a runtime runs a plugin: one process, and another one for what it delegates to. */
  private void measureExecutable(Network network) throws Exception {
    Path installed = lab.directory().resolve("bin");
    ExternalCommand.of(command.toString(), "install", "--dir", installed.toString()).run();
    Timings modules = measureExecutable(network, installed);
    Timings reference = measureExecutable(network, executables);
    table.addRow(
        "bridge as an executable",
        ComparisonTable.millis(modules.medianMillis()),
        Optional.of(ComparisonTable.millis(reference.medianMillis())));
  }

  private Timings measureExecutable(Network network, Path directory) throws Exception {
    String configuration =
        network
            .config()
            .plugins()
            .getFirst()
            .forRequest(network.name(), network.version(), Map.of())
            .json()
            .toString();
    return measure(
        network,
        i -> {
          Map<String, String> environment = new java.util.HashMap<>();
          environment.put("CNI_COMMAND", "ADD");
          environment.put("CNI_CONTAINERID", lab.attachment(i).containerId());
          environment.put("CNI_NETNS", lab.namespaces().get(i).toString());
          environment.put("CNI_IFNAME", "eth0");
          environment.put("CNI_PATH", directory.toString());
          ExternalCommand.of(directory.resolve("bridge").toString())
              .withEnvironment(environment)
              .withInput(configuration)
              .run();
        });
  }
}
