// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What messages about refused operations say. */
class PrivilegesTest {
  private static final long NET_ADMIN = 1L << 12;
  private static final long SYS_ADMIN = 1L << 21;

  private static CniException causedBy(Throwable cause) {
    return new CniException(ErrorCode.IO_FAILURE, "refused", new IOException(cause));
  }

  @Test
  void missingCapabilitiesAreNamed() {
    CniException refused = causedBy(new KernelException(Errno.EPERM, "setns"));
    assertEquals(
        Optional.of("needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN)"),
        Privileges.missing(refused, 0));
    assertEquals(Optional.of("needs root (CAP_SYS_ADMIN)"), Privileges.missing(refused, NET_ADMIN));
    assertEquals(Optional.empty(), Privileges.missing(refused, NET_ADMIN | SYS_ADMIN));
    assertEquals(
        Optional.of("needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN)"),
        Privileges.missing(new AccessDeniedException("/etc/cni"), 0));
  }

  @Test
  void otherFailuresNeedNoPrivileges() {
    CniException absent = causedBy(new KernelException(Errno.ENOENT, "open"));
    assertEquals(Optional.empty(), Privileges.missing(absent, 0));
  }
}
