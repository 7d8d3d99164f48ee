package cni.plugins.ipam.hostlocal;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Names a process by its id and the time it started, proc_pid_stat(5), so that a later process with
 * the same id is not mistaken for it. A process in another pid namespace appears to have ended.
 */
final class ProcessStart {
  /** The index of {@code starttime} among the fields after the command's name. */
  private static final int START_TIME = 19;

  private ProcessStart() {}

  /** Returns the name of this process, such as {@code 4711-81524}. */
  static String own() {
    long pid = ProcessHandle.current().pid();
    return pid + "-" + startTime(String.valueOf(pid));
  }

  /** Whether the process of this name is running; false if the text is not such a name. */
  static boolean isAlive(String name) {
    int dash = name.indexOf('-');
    String pid = dash < 0 ? "" : name.substring(0, dash);
    return !pid.isEmpty()
        && pid.chars().allMatch(Character::isDigit)
        && name.substring(dash + 1).equals(startTime(pid));
  }

  /** Returns the start time in clock ticks since boot; null if there is no such process. */
  private static @Nullable String startTime(String pid) {
    try {
      Path file = Path.of("/proc", pid, "stat");
      String stat = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
      String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
      return fields[START_TIME];
    } catch (IOException e) {
      return null;
    }
  }
}
