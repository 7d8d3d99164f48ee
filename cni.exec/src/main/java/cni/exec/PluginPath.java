// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import cni.api.CniException;
import cni.api.Names;
import cni.api.NetworkPlugin;
import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * The directories that are searched for executables, CNI_PATH.
 *
 * @param directories the directories in search order
 */
public record PluginPath(List<Path> directories) {
  /** Copies the list. */
  public PluginPath {
    directories = List.copyOf(directories);
  }

  /** Parses CNI_PATH: directories separated by colons. Empty ones are ignored. */
  public static PluginPath parse(String text) {
    return new PluginPath(
        Arrays.stream(text.split(File.pathSeparator))
            .filter(part -> !part.isEmpty())
            .map(Path::of)
            .toList());
  }

  /**
   * Finds the executable of a type, in the first directory that has one.
   *
   * @throws CniException code 7 if the type is not a plain file name
   */
  public Optional<Path> find(String type) throws CniException {
    String name = Names.requirePluginType(type);
    try {
      return directories.stream()
          .map(directory -> directory.resolve(name))
          .filter(PluginPath::isExecutable)
          .findFirst();
    } catch (InvalidPathException e) { // characters that the file system does not support
      return Optional.empty();
    }
  }

  /**
   * Finds the executable of a type, as a plugin whose delegates are looked up on this path too.
   *
   * @param stderr receives the executable's standard error
   * @throws CniException code 7 if the type is not a plain file name
   */
  public Optional<NetworkPlugin> findPlugin(String type, StderrHandler stderr) throws CniException {
    return find(type).map(file -> new ExecutablePlugin(type, file, this, stderr));
  }

  /**
   * Returns all executables by type, in alphabetical order. Missing directories count as empty.
   *
   * @throws IOException if a directory cannot be read
   */
  public Map<String, Path> list() throws IOException {
    Map<String, Path> found = new TreeMap<>();
    for (Path directory : directories) {
      if (!Files.isDirectory(directory)) {
        continue;
      }
      List<Path> files = new ArrayList<>();
      try (DirectoryStream<Path> stream =
          Files.newDirectoryStream(directory, PluginPath::isExecutable)) {
        stream.forEach(files::add);
      }
      files.forEach(file -> found.putIfAbsent(String.valueOf(file.getFileName()), file));
    }
    return found;
  }

  private static boolean isExecutable(Path file) {
    return Files.isRegularFile(file) && Files.isExecutable(file);
  }

  /** Returns the form of CNI_PATH. */
  @Override
  public String toString() {
    return directories.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator));
  }
}
