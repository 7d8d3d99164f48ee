package cni.netlink.ffm.process;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.OptionalInt;

/** The size of a terminal's window, ioctl_tty(2). */
public final class WindowSize {
  private static final long TIOCGWINSZ = 0x5413;

  /** struct winsize: rows, columns and two unused fields, each an unsigned short. */
  private static final int WINSIZE_BYTES = 8;

  private static final int COLUMNS_OFFSET = 2;

  private WindowSize() {}

  /**
   * Returns the number of columns.
   *
   * @param fd a descriptor of this process
   * @return absent if the descriptor is not that of a terminal, or the terminal has no size
   */
  public static OptionalInt columns(int fd) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment size = arena.allocate(WINSIZE_BYTES);
      Libc.ioctl(fd, TIOCGWINSZ, size, "ioctl TIOCGWINSZ");
      int columns = Short.toUnsignedInt(size.get(JAVA_SHORT, COLUMNS_OFFSET));
      return columns == 0 ? OptionalInt.empty() : OptionalInt.of(columns);
    } catch (KernelException e) {
      return OptionalInt.empty(); // ENOTTY
    }
  }
}
