// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.nio.file.Path;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AddJournalTest {
  private static final Path FILE = Path.of("/cache/begun/n-c1-eth0");

  private static final int EIO = 5;
  private static final int EACCES = 13;
  private static final int EMFILE = 24;
  private static final int ENOLCK = 37;

  private static void requireNoExecutable(int errno) throws CniException {
    AddJournal.requireNoExecutable(FILE, new KernelException(errno, "locking it"));
  }

  @ParameterizedTest
  @ValueSource(ints = {Errno.EINVAL, Errno.ELOOP, Errno.ENXIO, Errno.ENOTDIR})
  void whatIsNoRegularFileIsLockedByNoExecutable(int errno) {
    assertDoesNotThrow(() -> requireNoExecutable(errno));
  }

  @ParameterizedTest
  @CsvSource({EMFILE + ", 5", ENOLCK + ", 5", EACCES + ", 5", EIO + ", 5", Errno.EINTR + ", 11"})
  void otherErrorsLeaveOpenWhetherAnExecutableRuns(int errno, int code) {
    CniException e = assertThrows(CniException.class, () -> requireNoExecutable(errno));
    assertEquals(code, e.code());
    String expected =
        FILE + " cannot be locked, so that a plugin's process of an earlier ADD may still run: ";
    assertTrue(e.getMessage().startsWith(expected), e::getMessage);
  }

  @ParameterizedTest
  @ValueSource(ints = Errno.EAGAIN)
  void lockOfAnExecutableIsReported(int errno) {
    CniException e = assertThrows(CniException.class, () -> requireNoExecutable(errno));
    assertEquals(11, e.code());
    assertTrue(e.getMessage().contains("fuser " + FILE), e::getMessage);
  }
}
