// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.libc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class LibcTest {
  private static final int NO_DESCRIPTOR = -1;
  private static final int EBADF = 9;

  private static List<Executable> callsWith(MemorySegment segment) {
    return List.of(
        () -> Libc.ioctl(NO_DESCRIPTOR, 0, segment, "ioctl"),
        () -> Libc.bind(NO_DESCRIPTOR, segment),
        () -> Libc.getsockname(NO_DESCRIPTOR, segment),
        () -> Libc.setsockopt(NO_DESCRIPTOR, 0, 0, segment),
        () -> Libc.sendto(NO_DESCRIPTOR, segment),
        () -> Libc.sendto(NO_DESCRIPTOR, MemorySegment.NULL, segment),
        () -> Libc.recvfrom(NO_DESCRIPTOR, segment, 0, MemorySegment.NULL),
        () -> Libc.recvfrom(NO_DESCRIPTOR, MemorySegment.NULL, 0, segment),
        () -> Libc.readNonBlocking(NO_DESCRIPTOR, segment),
        () -> LibcProcess.read(NO_DESCRIPTOR, segment),
        () -> LibcProcess.write(NO_DESCRIPTOR, segment));
  }

  @Test
  void heapSegmentIsRejectedInsteadOfPassingItsOffsetAsAPointer() {
    for (Executable call : callsWith(MemorySegment.ofArray(new byte[16]))) {
      assertThrows(IllegalArgumentException.class, call);
    }
  }

  @Test
  void nativeSegmentIsPassedAndTheExceptionHasTheErrnoOfTheCall() {
    try (Arena arena = Arena.ofConfined()) {
      for (Executable call : callsWith(arena.allocate(16, 8))) {
        assertEquals(EBADF, assertThrows(KernelException.class, call).errno());
      }
    }
  }

  @Test
  void messageOfAnExceptionNamesTheOperationAndTheError() {
    KernelException missing =
        assertThrows(KernelException.class, () -> Libc.open("/no/such", Libc.O_RDONLY, 0));
    assertEquals(Errno.ENOENT, missing.errno());
    assertEquals("open /no/such: No such file or directory (errno 2)", missing.getMessage());
  }
}
