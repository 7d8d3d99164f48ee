package cni.doctor;

import cni.api.CniException;
import cni.runtime.Cni;
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
 * @param network its network; absent if it is invalid
 * @param error why it is invalid
 */
record NetworkFile(Path file, Optional<Network> network, Optional<CniException> error) {
  private static final String LIST = ".conflist";
  private static final List<String> SINGLE = List.of(".conf", ".json");

  /** Returns the network's name; empty if the file is invalid. */
  String name() {
    return network.map(Network::name).orElse("");
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
      return new NetworkFile(file, Optional.of(cni.network(file)), Optional.empty());
    } catch (CniException e) {
      return new NetworkFile(file, Optional.empty(), Optional.of(e));
    }
  }

  private static boolean isList(Path file) {
    return file.toString().endsWith(LIST);
  }

  private static boolean isSingle(Path file) {
    return SINGLE.stream().anyMatch(file.toString()::endsWith);
  }
}
