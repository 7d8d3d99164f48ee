// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The networks of the rows about callers that execute plugins, and the processes that call them:
 * through a resident host if the image has one, without it, and the reference plugins.
 */
final class ExecNetworks implements AutoCloseable {
  private final BenchNetworks networks;
  private final Path program;
  private final Path executables;
  private final Path image;
  private final Path installed;
  private Optional<HostProcess> host = Optional.empty();
  private final List<Callers> callers = new ArrayList<>();

  private ExecNetworks(BenchNetworks networks, Path program, Path executables, Path image) {
    this.networks = networks;
    this.program = program;
    this.executables = executables;
    this.image = image;
    this.installed = networks.directory().resolve("bin");
  }

  /**
   * Installs the image's executables and starts a host.
   *
   * @param containers their number
   * @param program the executable of bench/callers.c
   * @param executables the directory of the reference plugins
   */
  static ExecNetworks open(int containers, Path program, Path executables, Path image)
      throws Exception {
    BenchNetworks networks = BenchNetworks.open(containers, executables);
    try {
      var execs = new ExecNetworks(networks, program, executables, image);
      ExternalCommand.of(execs.command(), "install", "--dir", execs.installed.toString())
          .withEnvironment(Map.of("CNI_HOST_SOCKET", "none"))
          .run();
      execs.startHost();
      return execs;
    } catch (Exception e) {
      networks.close();
      throw e;
    }
  }

  private void startHost() throws Exception {
    if (HostProcess.isSupportedBy(image)) {
      host = Optional.of(HostProcess.start(image, program, networks.directory()));
    } else {
      System.out.println("The image has no command serve: what needs the host is left out.");
    }
  }

  BenchNetworks networks() {
    return networks;
  }

  Optional<HostProcess> host() {
    return host;
  }

  /** Starts callers that execute the plugins of a chain. */
  Callers plugins(Implementation implementation, Chain chain) throws Exception {
    Network network = networks.network(implementation, chain);
    List<String> settings = new ArrayList<>(environment(implementation));
    settings.addAll(Callers.pluginSettings(networks, network));
    return start(network.name(), settings);
  }

  /** Starts callers of {@code cni add} and {@code cni del}. */
  Callers command(Implementation implementation, Chain chain) throws Exception {
    Network network = networks.network(implementation, chain);
    String directory = networks.directory(network).toString();
    String options =
        " --networks %s --cache %s --container-id @ID@ %s @NETNS@"
            .formatted(directory, directory, network.name());
    List<String> settings = new ArrayList<>(environment(implementation));
    settings.add("env CAP_ARGS=" + Callers.withAnyPort(networks.capabilityArgs(0)));
    settings.add("command " + command() + " @VERB@" + options);
    return start(network.name() + "-command", settings);
  }

  /** Starts callers of the image's script for the JVM, which the launcher falls back to. */
  Callers script(Path script) throws Exception {
    List<String> settings = new ArrayList<>(environment(Implementation.IMAGE));
    settings.add("plugin " + script + " bridge {}");
    return start("script", settings);
  }

  private Callers start(String name, List<String> settings) throws IOException {
    Path file = networks.directory().resolve(name + ".callers");
    Callers started = Callers.start(program, networks, file, settings);
    callers.add(started);
    return started;
  }

  /** Returns the directory of the executables and the host's socket; the image alone finds none. */
  private List<String> environment(Implementation implementation) {
    Path socket = networks.directory().resolve("no-host.sock");
    if (implementation == Implementation.HOST) {
      socket = host.orElseThrow().socket();
    }
    Path directory = implementation == Implementation.EXECUTABLES ? executables : installed;
    return List.of("path " + directory, "env CNI_HOST_SOCKET=" + socket);
  }

  private String command() {
    return image.resolve("bin/cni").toString();
  }

  /** Stops the callers and the host, and deletes the containers. */
  @Override
  public void close() throws IOException {
    for (Callers it : callers) {
      it.close();
    }
    host.ifPresent(HostProcess::close);
    networks.close();
  }
}
