// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.CniException;
import cni.api.PluginConfig;
import cni.runtime.Network;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A process of bench/callers.c, which executes plugins for the containers of one network as a
 * container runtime does.
 */
final class Callers implements AutoCloseable {
  private final Process process;
  private final BufferedReader times;
  private final Writer jobs;

  private Callers(Process process) {
    this.process = process;
    times = process.inputReader(UTF_8);
    jobs = process.outputWriter(UTF_8);
  }

  /**
   * The durations of one job.
   *
   * @param wallMillis from the start of the first call to the end of the last
   * @param calls of each container's call, which for a chain consists of all plugins
   */
  record CallTimes(double wallMillis, Timings calls) {}

  /**
   * Starts the process.
   *
   * @param program the executable of bench/callers.c
   * @param file the file to create for the settings
   * @param lines the settings besides the containers; see bench/callers.c
   */
  static Callers start(Path program, BenchNetworks networks, Path file, List<String> lines)
      throws IOException {
    List<String> settings = new ArrayList<>(lines);
    for (int i = 0; i < networks.containerCount(); i++) {
      String id = networks.containerId(i);
      settings.add("container " + id + " " + networks.namespaces().get(i));
    }
    Files.write(file, settings);
    return new Callers(
        new ProcessBuilder(program.toString(), file.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start());
  }

  /** Returns the settings of a network whose plugins are executed one by one. */
  static List<String> pluginSettings(BenchNetworks networks, Network network) throws CniException {
    List<String> lines = new ArrayList<>();
    for (PluginConfig plugin : network.config().plugins()) {
      PluginConfig request =
          plugin.forRequest(
              network.name(), network.version(), networks.attachment(network, 0).capabilityArgs());
      lines.add("plugin " + plugin.type() + " " + withAnyPort(request.json().toString()));
    }
    return lines;
  }

  /** Replaces the port of the first container by that of the container in question. */
  static String withAnyPort(String json) {
    return json.replace(String.valueOf(BenchNetworks.FIRST_PORT), "@PORT@");
  }

  /**
   * Calls the plugins for the first containers.
   *
   * @param verb {@code ADD}, {@code DEL} or {@code VERSION}
   * @param threads the number of concurrent callers
   * @throws IOException if a plugin fails; the process has ended then
   */
  CallTimes run(String verb, int containers, int threads) throws IOException {
    jobs.write("%s 0 %d %d%n".formatted(verb, containers, threads));
    jobs.flush();
    String line = times.readLine();
    if (line == null) {
      throw new IOException("bench/callers.c has failed at " + verb + "; see standard error");
    }
    double[] micros = Arrays.stream(line.split(" ", -1)).mapToDouble(Double::parseDouble).toArray();
    long[] nanos = Arrays.stream(micros).skip(1).mapToLong(it -> Math.round(it * 1000)).toArray();
    return new CallTimes(micros[0] / 1000, Timings.of(nanos));
  }

  /** Ends the process. */
  @Override
  public void close() throws IOException {
    jobs.close();
    ExternalCommand.awaitExit(process);
  }
}
