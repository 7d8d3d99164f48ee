// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.packet;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Classic BPF programs (linux/filter.h) that select the packets of a socket in the kernel. A load
 * beyond the end of a packet drops it.
 */
final class PacketFilter {
  private static final int SO_ATTACH_FILTER = 26;
  private static final int INSTRUCTION = 8;

  private PacketFilter() {}

  /** Encodes struct sock_filter: code u16, jump offsets u8 if true and if false, operand u32. */
  static long instruction(int code, int ifTrue, int ifFalse, int operand) {
    return (long) code << 48
        | (long) ifTrue << 40
        | (long) ifFalse << 32
        | Integer.toUnsignedLong(operand);
  }

  /**
   * Attaches a program to a socket.
   *
   * @param program by {@link #instruction}
   * @throws KernelException EINVAL if the kernel refuses the program
   */
  static void attach(Descriptor descriptor, long... program) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment filter = arena.allocate((long) INSTRUCTION * program.length, 8);
      for (int i = 0; i < program.length; i++) {
        MemorySegment at = filter.asSlice((long) INSTRUCTION * i, INSTRUCTION);
        at.set(JAVA_SHORT, 0, (short) (program[i] >>> 48));
        at.set(JAVA_BYTE, 2, (byte) (program[i] >>> 40));
        at.set(JAVA_BYTE, 3, (byte) (program[i] >>> 32));
        at.set(JAVA_INT, 4, (int) program[i]);
      }
      MemorySegment fprog = arena.allocate(16, 8); // struct sock_fprog: length u16, pointer
      fprog.set(JAVA_SHORT, 0, (short) program.length);
      fprog.set(JAVA_LONG, 8, filter.address());
      Libc.setsockopt(descriptor.fd(), Libc.SOL_SOCKET, SO_ATTACH_FILTER, fprog);
    }
  }
}
