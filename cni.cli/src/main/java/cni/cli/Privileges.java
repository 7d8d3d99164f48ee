// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What this process may do, for messages about what it may not; capabilities(7). */
final class Privileges {
  private static final Path STATUS = Path.of("/proc/self/status");
  private static final String EFFECTIVE = "CapEff:\t";
  private static final int CAP_NET_ADMIN = 12;
  private static final int CAP_SYS_ADMIN = 21;
  private static final int HEXADECIMAL = 16;

  private Privileges() {}

  /**
   * Returns what a failed operation needed: the capabilities that this process lacks. Absent if the
   * failure has another reason.
   */
  static Optional<String> missing(Throwable failure) {
    return isDenied(failure) ? missing(failure, effectiveCapabilities()) : Optional.empty();
  }

  /** As {@link #missing(Throwable)}, for a process with these capabilities. */
  static Optional<String> missing(Throwable failure, long capabilities) {
    List<String> missing = new ArrayList<>();
    if (!has(capabilities, CAP_NET_ADMIN)) {
      missing.add("CAP_NET_ADMIN");
    }
    if (!has(capabilities, CAP_SYS_ADMIN)) {
      missing.add("CAP_SYS_ADMIN");
    }
    return isDenied(failure) && !missing.isEmpty()
        ? Optional.of("needs root (" + String.join(" and ", missing) + ")")
        : Optional.empty();
  }

  private static boolean has(long capabilities, int capability) {
    return (capabilities >> capability & 1) != 0;
  }

  private static boolean isDenied(Throwable failure) {
    for (Throwable it = failure; it != null; it = it.getCause()) {
      if (it instanceof AccessDeniedException
          || (it instanceof KernelException e && (e.is(Errno.EPERM) || e.is(Errno.EACCES)))) {
        return true;
      }
    }
    return false;
  }

  private static long effectiveCapabilities() {
    try {
      for (String line : Files.readAllLines(STATUS)) {
        if (line.startsWith(EFFECTIVE)) {
          return Long.parseUnsignedLong(line.substring(EFFECTIVE.length()).strip(), HEXADECIMAL);
        }
      }
    } catch (IOException e) {
      return -1; // unknown: nothing is known to be missing
    }
    return -1;
  }
}
