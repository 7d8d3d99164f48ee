package cni.bench;

import cni.api.Attachment;
import cni.bench.Lab.Chain;
import cni.bench.Lab.Contender;
import cni.bench.Report.Target;
import cni.runtime.Network;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a process takes to its first ADD: with the library, the command, and as an executable. */
final class ProcessComparison {
  private static final int SAMPLES = 11;

  /** Of the chain by the executables. */
  private static final int SAMPLES_OF_CHAIN = 5;

  private final Lab lab;
  private final Path executables;
  private final Path command;
  private final Report report;

  ProcessComparison(Lab lab, Path executables, Path image, Report report) {
    this.lab = lab;
    this.executables = executables;
    this.command = image.resolve("bin/cni");
    this.report = report;
  }

  void run() throws Exception {
    Network bridge = lab.network(Contender.MODULES, Chain.BRIDGE);
    firstAdd(bridge);
    executable(bridge);
    Timing alone = command(bridge);
    report.add("cni add, " + Chain.BRIDGE.title, Report.millis(alone.median()), Optional.empty());
    Timing chain = command(lab.network(Contender.MODULES, Chain.RULES));
    Network reference = lab.network(Contender.EXECUTABLES, Chain.RULES);
    Timing executed = Timing.measure(SAMPLES_OF_CHAIN, i -> reference.add(lab.attachment(i)));
    detach(reference, SAMPLES_OF_CHAIN);
    report.add(
        "cni add, " + Chain.RULES.title,
        Report.millis(chain.median()),
        Optional.of(Report.millis(executed.median())),
        Optional.empty(),
        "modules / Go",
        chain.median() / executed.median(),
        Target.atMost(1));
  }

  /** One process for each container, and then they are detached. */
  private Timing timed(Network network, Timing.Work work) throws Exception {
    Timing timing = Timing.measure(SAMPLES, work);
    detach(network, SAMPLES);
    return timing;
  }

  private void detach(Network network, int containers) throws Exception {
    Crowd.run(containers, containers, i -> network.delete(lab.attachment(i)));
  }

  private void firstAdd(Network network) throws Exception {
    String directory = lab.directory(network).toString();
    Timing timing =
        timed(
            network,
            i -> {
              Attachment attachment = lab.attachment(i);
              String namespace = lab.namespaces().get(i).toString();
              Program.java(FirstAdd.class, List.of())
                  .with(directory, network.name(), attachment.containerId(), namespace)
                  .run();
            });
    report.add(
        "first ADD of a process with the library",
        Report.millis(timing.median()),
        Optional.empty(),
        Optional.empty(),
        "ms",
        timing.median(),
        Target.atMost(150));
  }

  /** The image's command, which serves the whole chain in one process. */
  private Timing command(Network network) throws Exception {
    String directory = lab.directory(network).toString();
    return timed(
        network,
        i -> {
          Attachment attachment = lab.attachment(i);
          Program.of(command.toString(), "add", "--networks", directory, "--cache", directory)
              .with("--container-id", attachment.containerId())
              .with(network.name(), lab.namespaces().get(i).toString())
              .in(Map.of("CAP_ARGS", lab.capabilityArgs(i)))
              .run();
        });
  }

  /** As a runtime runs a plugin: one process, and another one for what it delegates to. */
  private void executable(Network network) throws Exception {
    Path installed = lab.directory().resolve("bin");
    Program.of(command.toString(), "install", "--dir", installed.toString()).run();
    Timing modules = executable(network, installed);
    Timing reference = executable(network, executables);
    report.add(
        "bridge as an executable",
        Report.millis(modules.median()),
        Optional.of(Report.millis(reference.median())));
  }

  private Timing executable(Network network, Path directory) throws Exception {
    String configuration =
        network
            .config()
            .plugins()
            .getFirst()
            .forRequest(network.name(), network.version(), Map.of())
            .json()
            .toString();
    return timed(
        network,
        i -> {
          Map<String, String> environment = new java.util.HashMap<>();
          environment.put("CNI_COMMAND", "ADD");
          environment.put("CNI_CONTAINERID", lab.attachment(i).containerId());
          environment.put("CNI_NETNS", lab.namespaces().get(i).toString());
          environment.put("CNI_IFNAME", "eth0");
          environment.put("CNI_PATH", directory.toString());
          Program.of(directory.resolve("bridge").toString())
              .in(environment)
              .reading(configuration)
              .run();
        });
  }
}
