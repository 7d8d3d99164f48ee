package cni.runtime;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import tools.jackson.databind.node.ObjectNode;

/**
 * A directory of network configuration files, read in the order of libcni: lists ({@code
 * .conflist}) before single plugins ({@code .conf}, {@code .json}), each in the order of the file
 * names. Where several files define a network, the first is used.
 */
final class NetworkConfigDirectory {
  private final Path directory;

  NetworkConfigDirectory(Path directory) {
    this.directory = directory;
  }

  /**
   * Loads the network with a name. Files of other networks may be invalid.
   *
   * @throws CniException code 7 if there is none, or the error in its configuration. If there is
   *     none and a file is not JSON, the error in the first such file, which may define it.
   */
  NetworkConfig load(String name) throws CniException {
    List<String> names = new ArrayList<>();
    CniException undecodable = null;
    for (Path file : files()) {
      byte[] text = bytes(file);
      try {
        String found = NetworkConfig.nameOf(text, file.toString());
        if (found.equals(name)) {
          return parse(text, file);
        }
        if (!found.isEmpty()) {
          names.add(found);
        }
      } catch (CniException e) {
        if (!e.is(ErrorCode.DECODING_FAILURE)) {
          throw e; // the file defines the network, and this is what is wrong with it
        }
        undecodable = undecodable == null ? e : undecodable;
      }
    }
    if (undecodable != null) {
      throw undecodable;
    }
    throw new CniException(
        ErrorCode.INVALID_CONFIG,
        "no network named \"%s\" in %s, which has %s"
            .formatted(
                name, directory, names.isEmpty() ? "no networks" : String.join(", ", names)));
  }

  /**
   * Loads all networks.
   *
   * @throws CniException the error in the first file that has one
   */
  List<NetworkConfig> loadAll() throws CniException {
    Map<String, NetworkConfig> byName = new LinkedHashMap<>();
    for (Path file : files()) {
      NetworkConfig config = read(file);
      byName.putIfAbsent(config.name(), config);
    }
    return List.copyOf(byName.values());
  }

  /**
   * Reads the network of a file and, unless it says {@code loadOnlyInlinedPlugins}, additional
   * plugins from the directory beside the file that has the network's name.
   *
   * @throws CniException the error in the file, or in one of that directory
   */
  static NetworkConfig read(Path file) throws CniException {
    return parse(bytes(file), file);
  }

  private static NetworkConfig parse(byte[] text, Path file) throws CniException {
    return NetworkConfig.parse(
        text, file.toString(), network -> additionalPlugins(file.resolveSibling(network)));
  }

  /** Reads the {@code .conf} files of a directory, each of which configures one plugin. */
  private static List<ObjectNode> additionalPlugins(Path directory) throws CniException {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    List<ObjectNode> plugins = new ArrayList<>();
    for (Path file : filesOf(directory, List.of(".conf"))) {
      ObjectNode json = Json.parse(bytes(file), file.toString());
      if (new ConfigObject(json, "").text("type").isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG, file + ": type is missing: name the plugin, as \"bridge\"");
      }
      plugins.add(json);
    }
    return plugins;
  }

  private static byte[] bytes(Path file) throws CniException {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, file + " cannot be read: " + IoErrors.reason(e), e);
    }
  }

  private List<Path> files() throws CniException {
    if (!Files.exists(directory)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "the directory of network configurations " + directory + " does not exist");
    }
    List<Path> files = filesOf(directory, List.of(".conflist"));
    files.addAll(filesOf(directory, List.of(".conf", ".json")));
    return files;
  }

  private static List<Path> filesOf(Path directory, List<String> extensions) throws CniException {
    var files = new TreeSet<Path>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory)) {
      for (Path file : stream) {
        String name = String.valueOf(file.getFileName());
        if (extensions.stream().anyMatch(name::endsWith) && !Files.isDirectory(file)) {
          files.add(file);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, directory + " cannot be read: " + IoErrors.reason(e), e);
    }
    return new ArrayList<>(files);
  }
}
