// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The input of single keys: the terminal on standard input, switched so that each key can be read
 * at once and is not echoed (non-canonical mode, termios(3)). Signals of the keyboard, such as that
 * of Ctrl-C, stay enabled. Closing it restores the mode that the terminal had; the caller closes it
 * also when the JVM shuts down.
 */
public final class KeyInput implements AutoCloseable {
  private static final int STANDARD_INPUT = 0;

  // asm-generic/ioctls.h, which x86-64 and AArch64 use
  private static final long TCGETS = 0x5401;
  private static final long TCSETS = 0x5402;

  /** sizeof(struct termios): four flags u32, the line u8, 19 control characters u8. */
  private static final int TERMIOS = 36;

  private static final int LOCAL_FLAGS = 12;
  private static final int ICANON = 2;
  private static final int ECHO = 8;

  private final byte[] original;
  private final AtomicBoolean closed = new AtomicBoolean();

  private KeyInput(byte[] original) {
    this.original = original;
  }

  /**
   * Switches the terminal.
   *
   * @return absent if standard input is not a terminal
   */
  public static Optional<KeyInput> open() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment mode = arena.allocate(TERMIOS, Integer.BYTES);
      Libc.ioctl(STANDARD_INPUT, TCGETS, mode, "reading the terminal's mode");
      var input = new KeyInput(mode.toArray(ValueLayout.JAVA_BYTE));
      int flags = mode.get(ValueLayout.JAVA_INT, LOCAL_FLAGS);
      mode.set(ValueLayout.JAVA_INT, LOCAL_FLAGS, flags & ~(ICANON | ECHO));
      Libc.ioctl(STANDARD_INPUT, TCSETS, mode, "setting the terminal's mode");
      return Optional.of(input);
    } catch (KernelException e) {
      return Optional.empty(); // ENOTTY: a pipe, a file
    }
  }

  /** Restores the mode that the terminal had. Further calls do nothing. */
  @Override
  public void close() {
    if (closed.getAndSet(true)) {
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment mode = arena.allocate(TERMIOS, Integer.BYTES);
      MemorySegment.copy(original, 0, mode, ValueLayout.JAVA_BYTE, 0, TERMIOS);
      Libc.ioctl(STANDARD_INPUT, TCSETS, mode, "restoring the terminal's mode");
    } catch (KernelException e) {
      // The terminal has been closed: there is no mode to restore.
    }
  }
}
