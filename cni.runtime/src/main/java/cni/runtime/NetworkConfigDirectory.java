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
 * A directory of network configurations. As for libcni, lists ({@code .conflist}) come before
 * single plugins ({@code .conf}, {@code .json}), both in the order of their file names, and the
 * first of a name counts.
 */
final class NetworkConfigDirectory {
  private final Path directory;

  NetworkConfigDirectory(Path directory) {
    this.directory = directory;
  }

  /**
   * The network with that name.
   *
   * @throws CniException code 7 if there is none; what is wrong with its configuration, or if there
   *     is none, with the first file that may have been meant for it
   */
  NetworkConfig load(String name) throws CniException {
    List<String> names = new ArrayList<>();
    CniException unreadable = null;
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
          throw e; // it is the one, and this is what is wrong with it
        }
        unreadable = unreadable == null ? e : unreadable;
      }
    }
    if (unreadable != null) {
      throw unreadable;
    }
    throw new CniException(
        ErrorCode.INVALID_CONFIG,
        "no network named \"%s\" in %s, which has %s"
            .formatted(
                name, directory, names.isEmpty() ? "no configuration" : String.join(", ", names)));
  }

  /**
   * Every network.
   *
   * @throws CniException what is wrong with a file
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
   * The network of a file, with the plugins of the directory beside it that has the network's name
   * ({@code loadOnlyInlinedPlugins} tells whether they count).
   *
   * @throws CniException what is wrong with it, or with a file of that directory
   */
  static NetworkConfig read(Path file) throws CniException {
    return parse(bytes(file), file);
  }

  private static NetworkConfig parse(byte[] text, Path file) throws CniException {
    return NetworkConfig.parse(
        text, file.toString(), network -> additionalPlugins(file.resolveSibling(network)));
  }

  /** Each file with the extension {@code .conf} holds one plugin's configuration. */
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
