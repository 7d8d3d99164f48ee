package cni.runtime;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * A directory of network configurations. As for libcni, lists ({@code .conflist}) come before
 * single plugins ({@code .conf}, {@code .json}), both in the order of their file names, and the
 * first of a name counts.
 */
final class NetworkDirectory {
  private final Path directory;

  NetworkDirectory(Path directory) {
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
      byte[] text = read(file);
      try {
        String found = NetworkConfig.nameOf(text, file.toString());
        if (found.equals(name)) {
          return NetworkConfig.parse(text, file.toString());
        }
        names.add(found);
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
      NetworkConfig config = NetworkConfig.parse(read(file), file.toString());
      byName.putIfAbsent(config.name(), config);
    }
    return List.copyOf(byName.values());
  }

  private static byte[] read(Path file) throws CniException {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new CniException(ErrorCode.IO_FAILURE, file + " cannot be read: " + e, e);
    }
  }

  private List<Path> files() throws CniException {
    var lists = new TreeSet<Path>();
    var singles = new TreeSet<Path>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory)) {
      for (Path file : stream) {
        String name = String.valueOf(file.getFileName());
        if (Files.isDirectory(file)) {
          continue;
        }
        if (name.endsWith(".conflist")) {
          lists.add(file);
        } else if (name.endsWith(".conf") || name.endsWith(".json")) {
          singles.add(file);
        }
      }
    } catch (NoSuchFileException e) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "the directory of network configurations " + directory + " does not exist",
          e);
    } catch (IOException e) {
      throw new CniException(ErrorCode.IO_FAILURE, directory + " cannot be read: " + e, e);
    }
    List<Path> files = new ArrayList<>(lists);
    files.addAll(singles);
    return files;
  }
}
