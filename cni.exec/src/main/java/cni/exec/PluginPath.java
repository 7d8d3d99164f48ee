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
 * The directories in which executables are looked for, CNI_PATH: the first that has one wins.
 *
 * @param directories in the order of the search
 */
public record PluginPath(List<Path> directories) {
  /** Takes a copy of the list. */
  public PluginPath {
    directories = List.copyOf(directories);
  }

  /** Reads the form that CNI_PATH has: directories separated by colons. */
  public static PluginPath parse(String text) {
    return new PluginPath(
        Arrays.stream(text.split(File.pathSeparator))
            .filter(part -> !part.isEmpty())
            .map(Path::of)
            .toList());
  }

  /**
   * The executable for a type.
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
    } catch (InvalidPathException e) { // characters that no file name of this system has
      return Optional.empty();
    }
  }

  /**
   * The plugin that the executable for a type is; it finds its own delegates here, too.
   *
   * @param diagnostics takes what it writes to its standard error
   * @throws CniException code 7 if the type is not a plain file name
   */
  public Optional<NetworkPlugin> findPlugin(String type, StderrHandler diagnostics)
      throws CniException {
    return find(type).map(file -> new ExecutablePlugin(type, file, this, diagnostics));
  }

  /**
   * Every executable by its type, in alphabetical order. Directories that are not there count as
   * empty.
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

  /** The form that CNI_PATH has. */
  @Override
  public String toString() {
    return directories.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator));
  }
}
