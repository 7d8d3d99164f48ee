// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * A command of the host, for the few operations that this process cannot perform itself: the legacy
 * variant of iptables, and a device with another SELinux context.
 *
 * <p>Its environment is that of this process, where the host says how its commands are to be run
 * (LD_LIBRARY_PATH, XTABLES_LIBDIR), without the CNI_ variables, which describe the call of the
 * plugin.
 *
 * @param commandLine the executable's path and its arguments
 * @param selinuxLabel the SELinux context to run it in; absent for that of this process
 */
public record HostCommand(List<String> commandLine, Optional<String> selinuxLabel) {
  private static final Duration TIMEOUT = Duration.ofSeconds(30);
  private static final int MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

  /** Resets the attribute; an empty write would not reach the kernel. */
  private static final String CLEAR_LABEL = "\n";

  private static final Path EXEC_ATTRIBUTE = Path.of("/proc/thread-self/attr/exec");

  /** The directories in which commands are looked for; PATH is not used. */
  public static final List<Path> DIRECTORIES =
      List.of(
          Path.of("/usr/sbin"),
          Path.of("/sbin"),
          Path.of("/usr/bin"),
          Path.of("/bin"),
          Path.of("/usr/local/sbin"));

  /** Copies the command line. */
  public HostCommand {
    commandLine = List.copyOf(commandLine);
  }

  /** Creates a command that runs in the SELinux context of this process. */
  public HostCommand(List<String> commandLine) {
    this(commandLine, Optional.empty());
  }

  /** Returns the path of a command, or empty if no directory has an executable of that name. */
  public static Optional<Path> find(String name, List<Path> directories) {
    return directories.stream()
        .map(directory -> directory.resolve(name))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /**
   * Runs the command in a namespace and waits for its end.
   *
   * @return its standard output
   * @throws IOException if it cannot be started, does not end within 30 s, or ends with a non-zero
   *     status; the message then has its standard error
   */
  public String runIn(NetNsSession namespace) throws IOException {
    String line = String.join(" ", commandLine);
    try (ChildProcess process = namespace.<ChildProcess, IOException>callInside(this::start)) {
      if (!process.communicate(TIMEOUT)) {
        throw new IOException(line + " has not ended after " + TIMEOUT.toSeconds() + " s");
      }
      if (process.exitStatus().orElse(-1) != 0) {
        throw new IOException(line + ": " + process.errorOutput().strip());
      }
      return process.output();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while running " + line);
    }
  }

  private ChildProcess start() throws IOException {
    if (selinuxLabel.isEmpty()) {
      return spawn();
    }
    writeExecLabel(selinuxLabel.get());
    try {
      return spawn();
    } finally {
      writeExecLabel(CLEAR_LABEL);
    }
  }

  private ChildProcess spawn() throws KernelException {
    ChildEnvironment environment = ChildEnvironment.inherited().withoutPrefix("CNI_");
    return ChildProcess.start(commandLine, environment, new byte[0], MAX_OUTPUT_BYTES);
  }

  /** Sets the SELinux context of the next execve(2) of this thread. */
  private static void writeExecLabel(String text) throws IOException {
    Files.write(EXEC_ATTRIBUTE, text.getBytes(StandardCharsets.UTF_8), StandardOpenOption.WRITE);
  }
}
