// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.AttachmentId;
import cni.api.InetAddresses;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * An address that host-local has given away, in the format of the reference plugin: a file named by
 * the address that contains {@code containerID\r\nifname}.
 *
 * @param file the file
 * @param address the address
 * @param containerId the container that holds it
 * @param interfaceName the container's interface; empty in files of host-local before 0.7
 */
record Reservation(Path file, InetAddress address, String containerId, String interfaceName) {
  /** Reads the reservations of a network's directory; none if there is no such directory. */
  static List<Reservation> readAll(Path directory) throws IOException {
    List<Reservation> found = new ArrayList<>();
    for (Path file : Directories.entries(directory)) {
      try {
        found.add(read(file, InetAddresses.parse(String.valueOf(file.getFileName()))));
      } catch (IllegalArgumentException e) {
        // not an address: lock, last_reserved_ip.N or a temporary file
      } catch (NoSuchFileException e) {
        // it has just been released
      }
    }
    found.sort(Comparator.comparing(it -> InetAddresses.toNumber(it.address)));
    return found;
  }

  private static Reservation read(Path file, InetAddress address) throws IOException {
    String[] lines =
        new String(Files.readAllBytes(file), StandardCharsets.UTF_8).strip().split("\r?\n", -1);
    String interfaceName = lines.length > 1 ? lines[1].strip() : "";
    return new Reservation(file, address, lines[0].strip(), interfaceName);
  }

  /** Returns whether an attachment holds the address. */
  boolean isOf(AttachmentId id) {
    return containerId.equals(id.containerId())
        && (interfaceName.isEmpty() || interfaceName.equals(id.interfaceName()));
  }
}
