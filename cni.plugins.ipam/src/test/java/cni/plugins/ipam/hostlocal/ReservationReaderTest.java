// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.InetAddresses;
import cni.netlink.ffm.file.Flock;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReservationReaderTest {
  @TempDir private Path data;

  private Path network() throws Exception {
    return Files.createDirectory(data.resolve("n"));
  }

  private static ReservationReader.Reservations read(Path directory) throws CniException {
    return ReservationReader.read(directory, Deadline.after(Duration.ofSeconds(10)));
  }

  private static String refusal(Path directory) {
    CniException e = assertThrows(CniException.class, () -> read(directory));
    assertEquals(7, e.code());
    return String.valueOf(e.getMessage());
  }

  private static List<String> texts(Map<InetAddress, ?> byAddress) {
    return byAddress.entrySet().stream()
        .map(it -> InetAddresses.format(it.getKey()) + ": " + it.getValue())
        .toList();
  }

  @Test
  void attachmentsAreSeparateFromEverythingElse() throws Exception {
    Path directory = network();
    Files.writeString(directory.resolve("10.1.0.10"), "b\r\neth0");
    Files.writeString(directory.resolve("10.1.0.9"), "a\r\neth1");
    Files.writeString(directory.resolve("fd00::9"), "a\r\neth1");
    Files.writeString(directory.resolve("10.1.0.2"), "old");
    Files.writeString(directory.resolve("10.1.0.3"), "");
    Files.writeString(directory.resolve("10.1.0.4"), "not an id\r\neth0");
    Files.createDirectory(directory.resolve("10.1.0.5"));
    Files.writeString(directory.resolve("last_reserved_ip.0"), "10.1.0.10");
    Files.writeString(directory.resolve("note.txt"), "of the administrator");
    Files.writeString(directory.resolve("10.1.0.300"), "c\r\neth0");
    Files.writeString(directory.resolve(".10.1.0.9.swp"), "of an editor");
    Files.writeString(directory.resolve(".unnamed"), "of host-local");
    ReservationReader.Reservations read = read(directory);
    assertEquals(
        List.of(
            "10.1.0.9: " + new AttachmentId("a", "eth1"),
            "10.1.0.10: " + new AttachmentId("b", "eth0"),
            "fd00::9: " + new AttachmentId("a", "eth1")),
        texts(read.attachments()));
    assertEquals(
        List.of(
            "10.1.0.2: its file names container old, but no interface",
            "10.1.0.3: its file is incomplete",
            "10.1.0.4: its file names no attachment, but \"not an id\"",
            "10.1.0.5: its file cannot be read"),
        texts(read.unattributed()));
    assertEquals(List.of("10.1.0.300", "note.txt"), read.others());
  }

  @Test
  void networkWithoutReservationsIsEmpty() throws Exception {
    Path directory = network();
    Files.createFile(directory.resolve("lock"));
    assertTrue(read(directory).attachments().isEmpty());
    assertTrue(read(directory).unattributed().isEmpty());
    assertTrue(read(directory).others().isEmpty());
  }

  @Test
  void otherDirectoriesAreRefusedAndStayAsTheyAre() throws Exception {
    Path directory = network();
    assertEquals(
        directory + " has no file of host-local: give its directory of a network",
        refusal(directory));
    Files.createDirectory(directory.resolve("lock")); // as /run/lock
    assertTrue(refusal(directory).contains(" has no file of host-local"));
    assertEquals(
        data + " has no file of host-local: give its directory of a network, such as " + directory,
        refusal(data));
    try (Stream<Path> files = Files.list(data)) {
      assertEquals(List.of(directory), files.toList());
    }
    Path file = Files.createFile(data.resolve("file"));
    assertTrue(refusal(file).startsWith(file + " is not a directory: "));
    Path missing = data.resolve("missing");
    assertTrue(refusal(missing).startsWith(missing + " does not exist: "));
    assertFalse(Files.exists(missing));
  }

  @Test
  void waitsForTheLockUntilTheDeadline() throws Exception {
    Path directory = network();
    Files.writeString(directory.resolve("10.1.0.2"), "a\r\neth0");
    try (var _ = Flock.acquire(directory.resolve("lock"), Duration.ofSeconds(10))) {
      CniException e =
          assertThrows(
              CniException.class,
              () -> ReservationReader.read(directory, Deadline.after(Duration.ofMillis(50))));
      assertEquals(11, e.code());
    }
    assertEquals(1, read(directory).attachments().size());
  }
}
