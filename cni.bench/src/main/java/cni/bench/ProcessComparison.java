// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.api.Attachment;
import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ComparisonTable.Goal;
import cni.runtime.Network;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Compares processes that do one ADD: with the library, as the command, and as an executable. */
final class ProcessComparison {
  private static final int SAMPLES = 11;

  private static final int EXECUTABLE_CHAIN_SAMPLES = 5;

  private final BenchNetworks networks;
  private final Path executables;
  private final Path command;
  private final ComparisonTable table;

  ProcessComparison(BenchNetworks networks, Path executables, Path image, ComparisonTable table) {
    this.networks = networks;
    this.executables = executables;
    this.command = image.resolve("bin/cni");
    this.table = table;
  }

  void run() throws Exception {
    Network bridge = networks.network(Implementation.MODULES, Chain.BRIDGE);
    measureFirstAdd(bridge);
    measureExecutable(bridge);
    Timings alone = measureCommand(bridge);
    table.addRow(
        "cni add, " + Chain.BRIDGE.title,
        ComparisonTable.millis(alone.medianMillis()),
        Optional.empty());
    Timings chain = measureCommand(networks.network(Implementation.MODULES, Chain.RULES));
    Network reference = networks.network(Implementation.EXECUTABLES, Chain.RULES);
    Timings executed =
        Timings.measure(
            EXECUTABLE_CHAIN_SAMPLES, i -> reference.add(networks.attachment(reference, i)));
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

  /** Runs one process for each container, then detaches the containers. */
  private Timings measure(Network network, Timings.Operation operation) throws Exception {
    Timings timings = Timings.measure(SAMPLES, operation);
    detach(network, SAMPLES);
    return timings;
  }

  private void detach(Network network, int containers) throws Exception {
    ParallelRun.run(containers, containers, i -> network.delete(networks.attachment(network, i)));
  }

  private void measureFirstAdd(Network network) throws Exception {
    String directory = networks.directory(network).toString();
    Timings timings =
        measure(
            network,
            i -> {
              Attachment attachment = networks.attachment(network, i);
              String namespace = networks.namespaces().get(i).toString();
              ExternalCommand.javaProgram(FirstAddProgram.class, List.of())
                  .withArguments(directory, network.name(), attachment.containerId(), namespace)
                  .run();
            });
    table.addRow(
        "first ADD of a process with the library",
        ComparisonTable.millis(timings.medianMillis()),
        Optional.empty(),
        Optional.empty(),
        "ms",
        timings.medianMillis(),
        Goal.atMost(150));
  }

  /** Measures the image's command, which runs the whole chain in one process. */
  private Timings measureCommand(Network network) throws Exception {
    String directory = networks.directory(network).toString();
    return measure(
        network,
        i -> {
          Attachment attachment = networks.attachment(network, i);
          ExternalCommand.of(
                  command.toString(), "add", "--networks", directory, "--cache", directory)
              .withArguments("--container-id", attachment.containerId())
              .withArguments(network.name(), networks.namespaces().get(i).toString())
              .withEnvironment(Map.of("CAP_ARGS", networks.capabilityArgs(i)))
              .run();
        });
  }

  /** Measures bridge as a runtime executes it: a process, and another one for host-local. */
  private void measureExecutable(Network network) throws Exception {
    Path installed = networks.directory().resolve("bin");
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
          Map<String, String> environment = new HashMap<>();
          environment.put("CNI_COMMAND", "ADD");
          environment.put("CNI_CONTAINERID", networks.containerId(i));
          environment.put("CNI_NETNS", networks.namespaces().get(i).toString());
          environment.put("CNI_IFNAME", "eth0");
          environment.put("CNI_PATH", directory.toString());
          ExternalCommand.of(directory.resolve("bridge").toString())
              .withEnvironment(environment)
              .withInput(configuration)
              .run();
        });
  }
}
