// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.api.PluginConfig;
import cni.runtime.Cni;
import cni.runtime.ConfigProblem;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A file of the directory of network configurations.
 *
 * @param file the file
 * @param network its network; absent if it cannot be read
 * @param error why the network, or a key that examinations need, cannot be read
 * @param problems what {@code cni validate} finds in a network that can be read
 */
record NetworkFile(
    Path file,
    Optional<Network> network,
    Optional<CniException> error,
    List<ConfigProblem> problems) {
  private static final String LIST = ".conflist";
  private static final List<String> SINGLE = List.of(".conf", ".json");

  /** Copies the list. */
  NetworkFile {
    problems = List.copyOf(problems);
  }

  /** Returns the network's name; empty if the file cannot be read. */
  String name() {
    return network.map(Network::name).orElse("");
  }

  /** Returns whether ADD of the network can succeed, as far as its configuration is concerned. */
  boolean isValid() {
    return network.isPresent() && error.isEmpty() && errors().isEmpty();
  }

  /** Returns the errors of the configuration, without those of plugins. */
  List<ConfigProblem> errors() {
    return problems.stream().filter(it -> it.isError() && !isOfPlugin(it)).toList();
  }

  /** Returns the warnings about the configuration, without those of plugins. */
  List<ConfigProblem> warnings() {
    return problems.stream().filter(it -> !it.isError() && !isOfPlugin(it)).toList();
  }

  /** Returns whether an examination of plugins reports a problem: a missing one, its versions. */
  private static boolean isOfPlugin(ConfigProblem problem) {
    return problem.key().endsWith("type") || problem.key().equals("cniVersion");
  }

  /** Reads the files that may define networks, in the order in which libcni searches them. */
  static List<NetworkFile> readAll(Path directory, Cni cni) throws IOException {
    List<NetworkFile> found = new ArrayList<>();
    List<Path> files = files(directory);
    files.stream().filter(NetworkFile::isList).forEach(it -> found.add(read(it, cni)));
    files.stream().filter(NetworkFile::isSingle).forEach(it -> found.add(read(it, cni)));
    return found;
  }

  /** Returns the files of a directory that no extension marks as a network's, sorted. */
  static List<Path> others(Path directory) throws IOException {
    return files(directory).stream().filter(it -> !isList(it) && !isSingle(it)).toList();
  }

  private static List<Path> files(Path directory) throws IOException {
    return Directories.entries(directory).stream().filter(it -> !Files.isDirectory(it)).toList();
  }

  private static NetworkFile read(Path file, Cni cni) {
    try {
      Network network = cni.network(file);
      List<ConfigProblem> problems = cni.validate(file).problems();
      return new NetworkFile(file, Optional.of(network), unreadableKey(network), problems);
    } catch (CniException e) {
      return new NetworkFile(file, Optional.empty(), Optional.of(e), List.of());
    }
  }

  /** An executable plugin may not validate what examinations read. */
  private static Optional<CniException> unreadableKey(Network network) {
    try {
      for (PluginConfig plugin : network.config().plugins()) {
        Optional<String> _ = plugin.ipamType();
      }
      Optional<PluginConfig> bridge = HostView.plugin(network, "bridge");
      if (bridge.isPresent()) {
        boolean _ = BridgeExaminations.isGateway(bridge.get());
        String _ = BridgeExaminations.bridgeName(bridge.get());
      }
      return Optional.empty();
    } catch (CniException e) {
      return Optional.of(e);
    }
  }

  private static boolean isList(Path file) {
    return file.toString().endsWith(LIST);
  }

  private static boolean isSingle(Path file) {
    return SINGLE.stream().anyMatch(file.toString()::endsWith);
  }
}
