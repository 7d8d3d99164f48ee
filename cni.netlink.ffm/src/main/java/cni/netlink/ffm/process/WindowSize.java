// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * The size of a terminal's window in characters, ioctl_tty(2).
 *
 * @param rows the number of lines
 * @param columns the number of characters in a line
 */
public record WindowSize(int rows, int columns) {
  private static final long TIOCGWINSZ = 0x5413;

  /** sizeof(struct winsize): rows, columns, width and height in pixels, all u16. */
  private static final int WINSIZE = 8;

  /**
   * Returns the size of a terminal.
   *
   * @param fd a descriptor of this process
   * @return absent if the descriptor is not that of a terminal, or the terminal has no size
   */
  public static Optional<WindowSize> of(int fd) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment size = arena.allocate(WINSIZE, Short.BYTES);
      Libc.ioctl(fd, TIOCGWINSZ, size, "reading the terminal's size");
      int rows = Short.toUnsignedInt(size.get(JAVA_SHORT, 0));
      int columns = Short.toUnsignedInt(size.get(JAVA_SHORT, Short.BYTES));
      return rows == 0 || columns == 0
          ? Optional.empty()
          : Optional.of(new WindowSize(rows, columns));
    } catch (KernelException e) {
      return Optional.empty(); // ENOTTY: a pipe, a file
    }
  }
}
