// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The identity of a process as part of a file's name: {@code <pid>-<start time>}. It shows whether
 * the process that made the file still runs. The start time excludes another process that has got
 * the same pid since.
 *
 * <p>A process in another pid namespace seems not to run. Use this only for files whose loss does
 * not harm the process that made them.
 */
final class ProcessIdentity {
  static final Pattern PATTERN = Pattern.compile("\\d{1,10}-\\d{1,20}");

  private static final Path PROC = Path.of("/proc");

  /** The indexes of fields in /proc/PID/stat, counted from the one behind the name (proc(5)). */
  private static final int STATE_FIELD = 0;

  private static final int START_TIME_FIELD = 19;

  private ProcessIdentity() {}

  /** Returns the identity of this process. */
  static String own() {
    return Own.IDENTITY;
  }

  /**
   * Returns whether a process runs.
   *
   * @param identity as {@link #own} returned it in that process
   */
  static boolean isAlive(String identity) {
    String pid = identity.substring(0, identity.indexOf('-'));
    return of(pid).filter(identity::equals).isPresent();
  }

  /**
   * Returns the identity of the process with a pid; absent if there is none or it has ended and its
   * parent has not waited for it yet.
   */
  private static Optional<String> of(String pid) {
    try {
      byte[] bytes = Files.readAllBytes(PROC.resolve(pid).resolve("stat"));
      String stat = new String(bytes, StandardCharsets.ISO_8859_1);
      String[] fields = stat.substring(stat.lastIndexOf(')') + 1).strip().split(" ", -1);
      boolean ended = fields[STATE_FIELD].equals("Z") || fields[STATE_FIELD].equals("X");
      return ended ? Optional.empty() : Optional.of(pid + "-" + fields[START_TIME_FIELD]);
    } catch (IOException | ArrayIndexOutOfBoundsException e) {
      return Optional.empty();
    }
  }

  private static final class Own {
    static final String IDENTITY = read();

    private static String read() {
      String pid = Long.toString(ProcessHandle.current().pid());
      return of(pid).orElse(pid + "-0");
    }
  }
}
