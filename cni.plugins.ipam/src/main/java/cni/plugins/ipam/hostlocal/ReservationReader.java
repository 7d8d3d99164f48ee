// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static java.util.stream.Collectors.toMap;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.plugins.ipam.range.AddressKey;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Reads the reservations of host-local, for a plugin that takes them over. */
public final class ReservationReader {
  private ReservationReader() {}

  /**
   * The reservations of a network. The maps are in the order of the addresses.
   *
   * @param attachments the attachment that each address is reserved for
   * @param unattributed the addresses whose files name no attachment, each with what is wrong with
   *     its file: names a container without an interface, as reference plugins before 0.7 wrote it,
   *     is incomplete, cannot be read, or has other content
   * @param others the names of further files that host-local does not write, such as a misspelt
   *     address, without hidden ones
   */
  public record Reservations(
      Map<InetAddress, AttachmentId> attachments,
      Map<InetAddress, String> unattributed,
      List<String> others) {
    /** Wraps the maps, which must not be changed any more, and copies the list. */
    public Reservations {
      attachments = Collections.unmodifiableMap(attachments);
      unattributed = Collections.unmodifiableMap(unattributed);
      others = List.copyOf(others);
    }
  }

  /**
   * Reads the directory of a network while its lock is held.
   *
   * @param directory the directory, {@code <dataDir>/<network>}
   * @throws CniException code 7 if it is not a directory with the files of host-local, code 5 if it
   *     cannot be read or its lock file cannot be created, code 11 if others hold the lock until
   *     the deadline
   */
  public static Reservations read(Path directory, Deadline deadline) throws CniException {
    return read(directory, DirectoryLock.FLOCK, deadline);
  }

  static Reservations read(Path directory, DirectoryLock lock, Deadline deadline)
      throws CniException {
    requireLayout(directory); // before the lock file is created
    var files = new ReservationFiles(directory);
    try (var _ = lock.acquire(files.lockFile(), deadline)) {
      return of(files.read(), others(directory));
    }
  }

  private static List<String> others(Path directory) throws CniException {
    List<String> others = new ArrayList<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        String name = String.valueOf(file.getFileName());
        if (!ReservationFiles.isKnownOrHidden(name)) {
          others.add(name);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw unreadable(directory, e);
    }
    return others.stream().sorted().toList();
  }

  private static CniException unreadable(Path directory, Exception e) {
    return ReservationFiles.failure("directory " + directory + " cannot be read", e);
  }

  private static void requireLayout(Path directory) throws CniException {
    if (!Files.isDirectory(directory)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          directory
              + (Files.exists(directory) ? " is not a directory" : " does not exist")
              + ": give host-local's directory of a network, such as"
              + " /var/lib/cni/networks/mynet");
    }
    List<String> subdirectories = new ArrayList<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        if (ReservationFiles.isOfPlugin(file)) {
          return;
        }
        if (Files.isDirectory(file)) {
          subdirectories.add(String.valueOf(file.getFileName()));
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw unreadable(directory, e);
    }
    Optional<String> network = subdirectories.stream().sorted().findFirst();
    throw new CniException(
        ErrorCode.INVALID_CONFIG,
        directory
            + " has no file of host-local: give its directory of a network"
            + network.map(it -> ", such as " + directory.resolve(it)).orElse(""));
  }

  private static Reservations of(ReservationFiles.Contents contents, List<String> others) {
    Map<InetAddress, AttachmentId> attachments = new LinkedHashMap<>();
    Map<InetAddress, String> unattributed = new LinkedHashMap<>();
    contents.incomplete().forEach(it -> unattributed.put(it, "its file is incomplete"));
    contents.unreadable().forEach(it -> unattributed.put(it, "its file cannot be read"));
    contents
        .holders()
        .forEach(
            (address, holder) ->
                holder
                    .attachment()
                    .ifPresentOrElse(
                        id -> attachments.put(address, id),
                        () -> unattributed.put(address, describe(holder))));
    return new Reservations(sorted(attachments), sorted(unattributed), others);
  }

  private static String describe(ReservationHolder holder) {
    return holder.isContainer()
        ? "its file names container " + holder.containerId() + ", but no interface"
        : "its file names no attachment, but " + holder;
  }

  private static <T> Map<InetAddress, T> sorted(Map<InetAddress, T> byAddress) {
    return byAddress.entrySet().stream()
        .sorted(Map.Entry.comparingByKey(Comparator.comparing(AddressKey::of)))
        .collect(toMap(Map.Entry::getKey, Map.Entry::getValue, (a, _) -> a, LinkedHashMap::new));
  }
}
