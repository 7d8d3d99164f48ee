package cni.netlink.lab;

import cni.netlink.ffm.ChildEnvironment;
import cni.netlink.ffm.ChildProcess;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetNs;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;

/**
 * Network namespaces and a directory that exist for one test: one namespace stands for the host,
 * the others for containers. Closing it removes all of them.
 */
public final class Lab implements AutoCloseable {
  private static final Duration COMMAND_PATIENCE = Duration.ofSeconds(60);
  private static final int LONGEST_OUTPUT = 1 << 20;

  private final String prefix =
      "cni-test-%06x-".formatted(ThreadLocalRandom.current().nextInt(1 << 24));
  private final Deque<NetNs> namespaces = new ArrayDeque<>();
  private final Path directory;
  private final NetNs host;

  /** Makes a directory and the host's namespace, with its loopback interface up. */
  public Lab() throws IOException {
    directory = Files.createTempDirectory(prefix);
    host = namespace("host");
    run(host, "ip", "link", "set", "lo", "up");
  }

  /** The namespace that stands for the host. */
  public NetNs host() {
    return host;
  }

  /** A directory that is deleted with the lab. */
  public Path directory() {
    return directory;
  }

  /** Makes another namespace. */
  public NetNs namespace(String role) throws IOException {
    NetNs netns = NetNs.create(prefix + role);
    namespaces.push(netns);
    return netns;
  }

  /** What names of namespaces of this lab begin with. */
  public String prefix() {
    return prefix;
  }

  /**
   * Runs a command in a namespace.
   *
   * @return what it printed on both outputs
   * @throws AssertionError if it does not end with status 0
   */
  public static String run(NetNs where, String... command) throws IOException {
    Output output = attempt(where, command);
    if (output.status() != 0) {
      throw new AssertionError(
          String.join(" ", command)
              + " in "
              + where
              + ": status "
              + output.status()
              + "\n"
              + output.text());
    }
    return output.text();
  }

  /** Runs a command in a namespace, whatever becomes of it. */
  public static Output attempt(NetNs where, String... command) throws IOException {
    List<String> words = List.of(command);
    try (ChildProcess process =
        where.<ChildProcess, KernelException>call(
            () ->
                ChildProcess.start(
                    words, ChildEnvironment.inherited(), new byte[0], LONGEST_OUTPUT))) {
      if (!process.pump(COMMAND_PATIENCE)) {
        throw new AssertionError(words + " does not end");
      }
      return new Output(process.exitStatus().orElse(-1), process.output() + process.errors());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    }
  }

  /**
   * What a command did.
   *
   * @param status its exit status
   * @param text what it printed
   */
  public record Output(int status, String text) {}

  /** Whether an address answers a ping from a namespace. */
  public static boolean pings(NetNs from, String address) throws IOException {
    // Again each second, until one is answered: where the neighbours do not know each other yet,
    // the
    // first one may be lost.
    return attempt(from, "ping", "-n", "-c1", "-w3", address).status() == 0;
  }

  /** The names of the interfaces in a namespace that are of a kind, as {@code ip} tells them. */
  public static List<String> links(NetNs where, String kind) throws IOException {
    return run(where, "ip", "-o", "link", "show", "type", kind)
        .lines()
        .filter(line -> line.matches("\\d+: .*")) // not what ip complains of
        .map(line -> line.split("[:@]\\s*", 3)[1])
        .toList();
  }

  @Override
  public void close() throws IOException {
    while (!namespaces.isEmpty()) {
      NetNs netns = namespaces.pop();
      netns.close();
      NetNs.delete(String.valueOf(netns.path().getFileName()));
    }
    try (Stream<Path> files = Files.walk(directory)) {
      files.sorted(Comparator.reverseOrder()).forEach(Lab::delete);
    }
  }

  private static void delete(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
