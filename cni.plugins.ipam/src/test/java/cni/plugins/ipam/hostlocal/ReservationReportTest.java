// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AddressReport;
import cni.api.AttachmentId;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.NetworkRequest;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What host-local lists for an operator. */
class ReservationReportTest {
  private static final String RANGES =
      "\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"}],[{\"subnet\":\"fd00::/64\"}]]";
  private static final Instant TIME = Instant.parse("2026-01-02T03:04:05Z");

  private FileSystem files;
  private HostLocalPlugin plugin;
  private Path directory;

  @BeforeEach
  void open() throws IOException {
    files =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
    plugin = new HostLocalPlugin(files, (file, deadline) -> () -> {});
    directory = files.getPath("/var/lib/cni/networks/n");
  }

  @AfterEach
  void close() throws IOException {
    files.close();
  }

  private void reserve(String address, String content, Instant time) throws IOException {
    Files.createDirectories(directory);
    Path file = Files.writeString(directory.resolve(address), content);
    Files.setLastModifiedTime(file, FileTime.from(time));
  }

  private AddressReport report(String ipam) throws CniException {
    var context =
        new CallContext(
            Optional.empty(),
            Deadline.none(),
            type -> {
              throw new CniException(ErrorCode.INTERNAL, type);
            });
    return plugin
        .addressRegistry()
        .orElseThrow()
        .report(new NetworkRequest(HostLocalPluginTest.config(ipam, ""), context));
  }

  private static AddressReport.Pool pool(String ranges, BigInteger size, long used) {
    return new AddressReport.Pool(ranges, size, BigInteger.valueOf(used));
  }

  private static List<String> addresses(AddressReport.Holder holder) {
    return holder.addresses().stream().map(InetAddresses::format).toList();
  }

  @Test
  void directoryThatDoesNotExistHasNoReservations() throws Exception {
    AddressReport report = report(RANGES);
    assertEquals(
        List.of(
            pool("10.1.0.1-10.1.0.254", BigInteger.valueOf(253), 0),
            pool(
                "fd00::1-fd00::ffff:ffff:ffff:ffff",
                BigInteger.TWO.pow(64).subtract(BigInteger.TWO),
                0)),
        report.pools());
    assertEquals(List.of(), report.holders());
    assertEquals(List.of(), report.problems());
    assertFalse(Files.exists(directory));
  }

  @Test
  void attachmentHasAllItsAddressesAndTheTimeOfTheFirst() throws Exception {
    reserve("10.1.0.10", "b\r\neth0", TIME);
    reserve("10.1.0.9", "a\r\neth0", TIME.plusSeconds(1));
    reserve("fd00::9", "a\r\neth0", TIME);
    Files.writeString(directory.resolve("last_reserved_ip.0"), "10.1.0.10");
    Files.createFile(directory.resolve("lock"));
    AddressReport report = report(RANGES);
    assertEquals(
        List.of(
            pool("10.1.0.1-10.1.0.254", BigInteger.valueOf(253), 2),
            pool(
                "fd00::1-fd00::ffff:ffff:ffff:ffff",
                BigInteger.TWO.pow(64).subtract(BigInteger.TWO),
                1)),
        report.pools());
    AddressReport.Holder first = report.holders().getFirst();
    assertEquals(Optional.of(new AttachmentId("a", "eth0")), first.attachment());
    assertEquals(List.of("10.1.0.9", "fd00::9"), addresses(first));
    assertEquals(Optional.of(TIME), first.since());
    assertEquals(Optional.empty(), first.node());
    assertEquals(List.of("10.1.0.10"), addresses(report.holders().getLast()));
    assertEquals(2, report.holders().size());
    assertEquals(List.of(), report.blocks());
    assertEquals(List.of(), report.nodes());
    assertEquals(List.of(), report.problems());
  }

  @Test
  void whatIsNotAnAttachmentIsNamedByItsText() throws Exception {
    reserve("10.1.0.2", "c1", TIME);
    reserve("10.1.0.3", "../x\r\neth0", TIME);
    reserve("10.1.0.4", "", TIME);
    Files.createDirectory(directory.resolve("10.1.0.5"));
    reserve("10.2.0.1", "c2\r\neth0", TIME);
    AddressReport report = report("\"subnet\":\"10.1.0.0/24\"");
    assertEquals(BigInteger.valueOf(3), report.pools().getFirst().used());
    assertEquals(
        List.of(
            "[10.1.0.2] Optional[c1]",
            "[10.1.0.3] Optional[../x\r\neth0]",
            "[10.1.0.5] Optional.empty",
            "[10.2.0.1] Optional.empty"),
        report.holders().stream().map(it -> addresses(it) + " " + it.name()).toList());
    assertEquals(
        List.of(
            "addresses are reserved that are in none of the ranges: 10.2.0.1; deleting their"
                + " attachments releases them",
            "files in /var/lib/cni/networks/n cannot be read: 10.1.0.5; the addresses count as"
                + " reserved until the files are removed",
            "files name no attachment: 10.1.0.3; GC releases the addresses",
            "files are incomplete: 10.1.0.4; the addresses are free, and GC removes the files"),
        report.problems());
    assertEquals("", Files.readString(directory.resolve("10.1.0.4")), "a report changes nothing");
  }

  @Test
  void errorsAreThoseOfTheConfigurationAndOfTheDirectory() throws Exception {
    assertEquals(7, assertThrows(CniException.class, () -> report("\"x\":1")).code());
    Files.createDirectories(directory.getParent());
    Files.createFile(directory);
    CniException e = assertThrows(CniException.class, () -> report(RANGES));
    assertEquals(5, e.code());
    assertTrue(e.getMessage().contains(directory.toString()), e::getMessage);
  }
}
