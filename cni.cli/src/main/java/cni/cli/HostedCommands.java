// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine.Model.CommandSpec;

/** The commands that a resident process runs for callers in other processes. */
final class HostedCommands {
  private static final Set<String> NAMES =
      Set.of("add", "check", "del", "update", "repair", "gc", "status");

  /** Files that are others in another process: those of its descriptors, namespaces and threads. */
  private static final Pattern OWN_FILES =
      Pattern.compile("\\bproc/+(self|thread-self)\\b|\\bdev/+(fd|std(in|out|err))\\b");

  /** The variables with paths that the commands read. */
  private static final List<String> PATH_VARIABLES =
      List.of("NETCONFPATH", "CNI_PATH", "CNI_MODULE_PATH");

  private HostedCommands() {}

  /** Adds to the help of these commands that a host executes them. */
  static void describe(String name, CommandSpec spec) {
    if (NAMES.contains(name)) {
      List<String> lines = new ArrayList<>(List.of(spec.usageMessage().footer()));
      lines.addAll(
          List.of(
              "",
              "A running host (cni serve) executes this command; CNI_HOST_SOCKET=none avoids that."));
      spec.usageMessage().footer(lines.toArray(String[]::new));
    }
  }

  /**
   * Returns why a command must run in a process of its own; empty if it need not. Examines the
   * arguments only: the caller decides whether its own namespaces are those of this process.
   *
   * @param arguments the command's name and its arguments
   */
  static Optional<String> objection(List<String> arguments, Invocation invocation) {
    if (arguments.isEmpty() || !NAMES.contains(arguments.getFirst())) {
      return Optional.of(
          "only add, check, del, update, repair, gc and status can run in the resident host");
    }
    if (arguments.stream().anyMatch(it -> it.startsWith("@"))) {
      return Optional.of("an argument that starts with @ may be a file of arguments");
    }
    Stream<String> variables =
        PATH_VARIABLES.stream().map(it -> invocation.environment().getOrDefault(it, ""));
    boolean namesOwnFiles =
        Stream.concat(arguments.stream(), variables).anyMatch(it -> OWN_FILES.matcher(it).find());
    return namesOwnFiles || invocation.directory().startsWith(Path.of("/proc"))
        ? Optional.of("a path below /proc/self or /dev/fd is another one in the resident host")
        : Optional.empty();
  }

  /**
   * Runs a command on this thread and returns its exit status. Failures are printed to the
   * invocation's streams. An interrupt of the thread ends the command as a signal ends the process:
   * an ADD is rolled back and fails with code 11. The interrupt status is cleared at the end.
   *
   * @param arguments the command's name and its arguments
   * @throws IllegalArgumentException if there is an {@link #objection}
   */
  static int run(List<String> arguments, Invocation invocation) {
    objection(arguments, invocation)
        .ifPresent(
            reason -> {
              throw new IllegalArgumentException(reason);
            });
    try {
      return invocation.call(
          () -> Main.exitStatus(() -> Main.execute(arguments.toArray(String[]::new))));
    } catch (Exception e) {
      throw new AssertionError(e); // exitStatus catches all
    } finally {
      boolean _ = Thread.interrupted();
    }
  }
}
