// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import tools.jackson.databind.node.ObjectNode;

/**
 * A directory of network configuration files, read in the order of libcni: lists ({@code
 * .conflist}) before single plugins ({@code .conf}, {@code .json}), each in the order of the file
 * names. Where several files define a network, the first is used.
 *
 * <p>A file that cannot be read does not affect the networks of other files: it is logged, once,
 * and skipped. libcni fails for every network whose file sorts behind it.
 */
final class NetworkConfigDirectory {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private static final String LIST = ".conflist";
  private static final List<String> SINGLE = List.of(".conf", ".json");

  /** The extensions of files that are read, for messages. */
  static final String EXTENSIONS =
      "*.conflist for a list of plugins, *.conf or *.json for a single plugin";

  private final Path directory;

  /** The messages of the errors that have been logged. */
  private final Set<String> logged = ConcurrentHashMap.newKeySet();

  /** A configuration and the file of its network. */
  record LoadedConfig(NetworkConfig config, Path file) {}

  NetworkConfigDirectory(Path directory) {
    this.directory = directory;
  }

  /**
   * Loads the network with a name. Files of other networks may be invalid.
   *
   * @throws CniException code 7 if there is none, or the error in its configuration. If there is
   *     none and a file cannot be read or is not JSON, the error in the first such file, which may
   *     define it.
   */
  LoadedConfig load(String name) throws CniException {
    List<String> names = new ArrayList<>();
    List<CniException> unreadable = new ArrayList<>();
    for (Path file : files()) {
      byte[] text;
      String found;
      try {
        text = bytes(file);
        found = NetworkConfig.nameOf(text, file.toString());
      } catch (CniException e) {
        unreadable.add(e);
        continue;
      }
      if (found.equals(name)) {
        unreadable.forEach(this::logSkipped);
        return new LoadedConfig(parse(text, file), file);
      }
      if (!found.isEmpty()) {
        names.add(found);
      }
    }
    if (!unreadable.isEmpty()) {
      throw firstOf(unreadable);
    }
    throw new CniException(
        ErrorCode.INVALID_CONFIG,
        "no network named \"%s\" in %s, which has %s"
            .formatted(
                name, directory, names.isEmpty() ? "no networks" : String.join(", ", names)));
  }

  /**
   * Loads all networks that can be loaded. The others are logged.
   *
   * @throws CniException if there is none, the error in the first file that has one
   */
  List<LoadedConfig> loadAll() throws CniException {
    List<LoadedConfig> networks = new ArrayList<>();
    Set<String> names = new HashSet<>();
    List<CniException> skipped = new ArrayList<>();
    for (Path file : files()) {
      try {
        byte[] text = bytes(file);
        String name = NetworkConfig.nameOf(text, file.toString());
        // A file without a name is parsed for the error; later files of a name are not used.
        if (name.isEmpty() || names.add(name)) {
          networks.add(new LoadedConfig(parse(text, file), file));
        }
      } catch (CniException e) {
        skipped.add(e);
      }
    }
    if (networks.isEmpty() && !skipped.isEmpty()) {
      throw firstOf(skipped);
    }
    skipped.forEach(this::logSkipped);
    return networks;
  }

  /**
   * Returns the names of all networks, including those of an invalid configuration. Files that
   * cannot be read are left out; so are all if there is no directory.
   *
   * @throws CniException code 5 if the directory cannot be read
   */
  Set<String> names() throws CniException {
    Set<String> names = new HashSet<>();
    if (!Files.isDirectory(directory)) {
      return names;
    }
    for (Path file : files()) {
      try {
        names.add(NetworkConfig.nameOf(bytes(file), file.toString()));
      } catch (CniException e) {
        logSkipped(e);
      }
    }
    return names;
  }

  /**
   * Returns the files that are not used because another one defines their network. Files that
   * cannot be read are left out; so are all if there is no directory.
   *
   * @throws CniException code 5 if the directory cannot be read
   */
  List<ShadowedFile> shadowed() throws CniException {
    List<ShadowedFile> shadowed = new ArrayList<>();
    if (!Files.isDirectory(directory)) {
      return shadowed;
    }
    Map<String, Path> used = new HashMap<>();
    for (Path file : files()) {
      try {
        String name = NetworkConfig.nameOf(bytes(file), file.toString());
        Path other = name.isEmpty() ? null : used.putIfAbsent(name, file);
        if (other != null) {
          shadowed.add(new ShadowedFile(name, file, other));
        }
      } catch (CniException _) {
        // it defines no network that could be another's; validation reports it
      }
    }
    return shadowed;
  }

  /** Returns the first error, which is thrown and need not be logged, and logs the others. */
  private CniException firstOf(List<CniException> errors) {
    errors.subList(1, errors.size()).forEach(this::logSkipped);
    return errors.getFirst();
  }

  private void logSkipped(CniException e) {
    if (logged.add(e.getMessage())) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING, "a network configuration is skipped: " + e.getMessage());
    }
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
    for (Path file : additionalFiles(directory)) {
      ObjectNode json = Json.parse(bytes(file), file.toString());
      if (new ConfigObject(json, "").text("type").isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG, file + ": type is missing: name the plugin, as \"bridge\"");
      }
      plugins.add(json);
    }
    return plugins;
  }

  /** Returns the files of a network's directory, in the order of ADD. */
  static List<Path> additionalFiles(Path directory) throws CniException {
    return filesOf(directory, name -> name.endsWith(".conf"));
  }

  /** Returns the files that are not read for networks, in the order of their names. */
  List<Path> unreadFiles() throws CniException {
    return filesOf(directory, name -> !isList(name) && !isSingle(name));
  }

  static byte[] bytes(Path file) throws CniException {
    try {
      return RegularFiles.read(file);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, file + " cannot be read: " + IoErrors.reason(e), e);
    }
  }

  /** Returns the files that may define networks, in the order in which they are searched. */
  List<Path> files() throws CniException {
    List<Path> files = new ArrayList<>();
    List<Path> single = new ArrayList<>();
    for (Path file : filesOf(directory, name -> isList(name) || isSingle(name))) {
      (isList(String.valueOf(file.getFileName())) ? files : single).add(file);
    }
    files.addAll(single);
    return files;
  }

  static boolean isList(String name) {
    return name.endsWith(LIST);
  }

  static boolean isSingle(String name) {
    return SINGLE.stream().anyMatch(name::endsWith);
  }

  /** Returns the files of a directory with certain names, sorted; subdirectories are not files. */
  private static List<Path> filesOf(Path directory, Predicate<String> names) throws CniException {
    if (!Files.isDirectory(directory)) { // opening a FIFO would block
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "the directory of network configurations "
              + directory
              + (Files.exists(directory) ? " is not a directory" : " does not exist"));
    }
    List<Path> files = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory)) {
      for (Path file : stream) {
        if (names.test(String.valueOf(file.getFileName()))
            && !Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS)) {
          files.add(file);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, directory + " cannot be read: " + IoErrors.reason(e), e);
    }
    Collections.sort(files);
    return files;
  }
}
