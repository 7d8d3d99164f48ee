// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.netlink.ffm.process.KeyInput;
import cni.netlink.ffm.process.WindowSize;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The alternate screen of a terminal, ECMA-48 and xterm: frames replace each other without
 * flickering, and the former content comes back when this is closed, also by Ctrl-C.
 */
final class TopScreen implements AutoCloseable {
  private static final String ENTER = "\033[?1049h\033[?25l";
  private static final String LEAVE = "\033[?25h\033[?1049l";
  private static final String HOME = "\033[H";
  private static final String CLEAR_LINE = "\033[K";
  private static final String CLEAR_BELOW = "\033[J";
  private static final String BOLD = "\033[1m";
  private static final String PLAIN = "\033[0m";

  private static final Duration POLL = Duration.ofMillis(50);
  private static final WindowSize DEFAULT_SIZE = new WindowSize(24, 80);

  private final KeyInput input;
  private final PrintStream out;
  private final AtomicBoolean closed = new AtomicBoolean();
  private final Thread hook = new Thread(this::restore, "cni-terminal");

  /** Enters the alternate screen. */
  TopScreen(KeyInput input, PrintStream out) {
    this.input = input;
    this.out = out;
    Runtime.getRuntime().addShutdownHook(hook);
    out.print(ENTER);
    out.flush();
  }

  /**
   * Shows lines; those that do not fit are cut.
   *
   * @param title the index of the line that is printed in bold type
   */
  void show(List<String> lines, int title) {
    WindowSize size = Terminal.size(Terminal.Stream.OUTPUT).orElse(DEFAULT_SIZE);
    var frame = new StringBuilder(HOME);
    for (int i = 0; i < Math.min(lines.size(), size.rows()); i++) {
      String line = lines.get(i);
      String cut = line.length() <= size.columns() ? line : line.substring(0, size.columns());
      frame.append(i == 0 ? "" : "\r\n").append(i == title ? BOLD + cut + PLAIN : cut);
      frame.append(CLEAR_LINE);
    }
    out.print(frame.append(CLEAR_BELOW));
    out.flush();
  }

  /**
   * Waits for a key.
   *
   * @return the key; 0 if none was pressed in time, or 'q' if the terminal has been closed
   * @throws InterruptedException if the thread is interrupted
   */
  char awaitKey(Duration timeout) throws InterruptedException {
    long end = System.nanoTime() + timeout.toNanos();
    try {
      while (System.in.available() == 0) {
        if (System.nanoTime() - end >= 0) {
          return 0;
        }
        Thread.sleep(POLL);
      }
      int key = System.in.read();
      return key < 0 ? 'q' : (char) key;
    } catch (IOException e) {
      return 'q';
    }
  }

  private void restore() {
    if (!closed.getAndSet(true)) {
      out.print(LEAVE);
      out.flush();
      input.close();
    }
  }

  @Override
  public void close() {
    restore();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The hook runs already.
    }
  }
}
