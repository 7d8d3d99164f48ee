// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import cni.api.internal.BootClock;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A DHCP lease, as the dhcp plugin of this project keeps it. The reference's daemon keeps its
 * leases in memory only.
 *
 * @param obtainedAt when a server granted or renewed it
 * @param expiresAt when its addresses are removed, unless it is renewed before
 */
public record DhcpLease(Instant obtainedAt, Instant expiresAt) {
  /** Where {@code cni dhcp daemon} keeps its leases. */
  private static final Path DAEMON_DIRECTORY = Path.of("/run/cni/dhcp");

  /**
   * Reads all leases; of an attachment with leases of both IP versions, the one that expires first.
   *
   * @param cache the cache directory, where a resident process keeps its leases
   */
  static Map<AttachmentTraffic.Key, DhcpLease> readAll(Path cache) {
    Map<AttachmentTraffic.Key, DhcpLease> leases = new HashMap<>();
    for (Path directory : List.of(cache.resolve("dhcp"), DAEMON_DIRECTORY)) {
      if (!Files.isDirectory(directory)) {
        continue;
      }
      try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "*.lease")) {
        files.forEach(file -> readInto(leases, file));
      } catch (IOException | DirectoryIteratorException e) {
        // not readable for this user: unknown, as are counters
      }
    }
    return leases;
  }

  private static void readInto(Map<AttachmentTraffic.Key, DhcpLease> leases, Path file) {
    try {
      var json = new ConfigObject(Json.parse(RegularFiles.readState(file), file.toString()), "");
      ConfigObject binding =
          json.object("binding").orElseThrow(() -> json.invalid("binding", "is missing"));
      if (!binding.text("boot").orElse("").equals(BootClock.bootId())) {
        return; // expired with the boot
      }
      Instant booted = Instant.now().minus(BootClock.now());
      Instant obtained = booted.plus(millis(binding, "obtained"));
      var id =
          new AttachmentId(json.text("containerId").orElse(""), json.text("ifName").orElse(""));
      leases.merge(
          new AttachmentTraffic.Key(json.text("network").orElse(""), id),
          new DhcpLease(obtained, obtained.plus(millis(binding, "validFor"))),
          (one, other) -> one.expiresAt.isBefore(other.expiresAt) ? one : other);
    } catch (IOException | CniException e) {
      // released meanwhile, or damaged: the plugin reports that
    }
  }

  private static Duration millis(ConfigObject binding, String key) throws CniException {
    return Duration.ofMillis(binding.longInteger(key, 0, Long.MAX_VALUE / 4).orElse(0));
  }
}
