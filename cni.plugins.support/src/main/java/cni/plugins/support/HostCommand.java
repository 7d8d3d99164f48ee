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
 * A program of the host, for the few things that a thread of this process cannot do itself.
 *
 * @param commandLine its file and its arguments
 * @param selinuxLabel the SELinux context that it runs in; usually that of this process
 */
public record HostCommand(List<String> commandLine, Optional<String> selinuxLabel) {
  private static final Duration TIMEOUT = Duration.ofSeconds(30);
  private static final int MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

  /** What takes the label away again: writing nothing would not reach the kernel. */
  private static final String CLEAR_LABEL = "\n";

  private static final Path EXEC_ATTRIBUTE = Path.of("/proc/thread-self/attr/exec");

  /** Where such programs are, whatever PATH says. */
  public static final List<Path> DIRECTORIES =
      List.of(
          Path.of("/usr/sbin"),
          Path.of("/sbin"),
          Path.of("/usr/bin"),
          Path.of("/bin"),
          Path.of("/usr/local/sbin"));

  /** Takes a copy of the words. */
  public HostCommand {
    commandLine = List.copyOf(commandLine);
  }

  /** A program that runs in the context of this process. */
  public HostCommand(List<String> words) {
    this(words, Optional.empty());
  }

  /** The file of a program, if it is in one of the directories. */
  public static Optional<Path> find(String name, List<Path> directories) {
    return directories.stream()
        .map(directory -> directory.resolve(name))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /**
   * Runs it in a namespace and waits for its end.
   *
   * @return what it printed on standard output
   * @throws IOException if it cannot be started, does not end, or ends with another status than 0;
   *     then with what it printed on standard error
   */
  public String runIn(NetNsSession namespace) throws IOException {
    String line = String.join(" ", commandLine);
    try (ChildProcess process = namespace.<ChildProcess, IOException>callInside(this::start)) {
      if (!process.communicate(TIMEOUT)) {
        throw new IOException(line + " does not end");
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
    return ChildProcess.start(
        commandLine, ChildEnvironment.inherited(), new byte[0], MAX_OUTPUT_BYTES);
  }

  /** The label of what this thread executes next. */
  private static void writeExecLabel(String text) throws IOException {
    Files.write(EXEC_ATTRIBUTE, text.getBytes(StandardCharsets.UTF_8), StandardOpenOption.WRITE);
  }
}
