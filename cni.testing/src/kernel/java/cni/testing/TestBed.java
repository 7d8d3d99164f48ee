// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NamespaceOwnership;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.UserPrincipal;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/**
 * Network namespaces and a directory that exist for one test. One namespace represents the host;
 * the others represent containers or other hosts. {@link #close} deletes all of them.
 *
 * <p>Needs root. With the environment variable {@code CNI_TEST_KEEP} set, the namespaces and the
 * directory of a failed {@link KernelTest} stay, and their names are printed.
 */
public class TestBed implements AutoCloseable {
  private static final Duration COMMAND_TIMEOUT = Duration.ofSeconds(60);
  private static final int MAX_OUTPUT_BYTES = 1 << 20;
  private static final int LOOPBACK_INDEX = 1;
  private static final int DELETE_ATTEMPTS = 20;

  /** The digits of the number that follows the label in names. */
  private static final int ID_DIGITS = 8;

  /**
   * Whether the test of this thread failed and its namespaces and directory are kept; see the
   * class.
   */
  static final ThreadLocal<Boolean> KEPT = ThreadLocal.withInitial(() -> false);

  private final String prefix;
  private final Path directory;
  private final List<NetNs> open = new ArrayList<>();
  private final List<String> names = new ArrayList<>();
  private final NetNs host;

  /**
   * Creates the directory and the host's namespace.
   *
   * @throws IOException if they cannot be created
   */
  public TestBed() throws IOException {
    this("test");
  }

  /**
   * Creates a test bed whose namespaces and directory are recognized by a label.
   *
   * @param label part of every name, such as {@code test}
   * @throws IOException if they cannot be created
   */
  public TestBed(String label) throws IOException {
    prefix = "cni-%s-%08x-".formatted(label, ThreadLocalRandom.current().nextInt());
    directory = Files.createTempDirectory(prefix);
    host = create("host");
    try (RouteSocket routes = RouteSocket.open(host)) {
      routes.execute(LinkRequests.setUp(LOOPBACK_INDEX));
    }
  }

  /** Returns the namespace that represents the host, with its loopback interface up. */
  public final NetNs netns() {
    return host;
  }

  /** Returns the directory, which is deleted with the test bed. */
  public final Path directory() {
    return directory;
  }

  /** Returns the common prefix of the names of all namespaces of this test bed. */
  public final String prefix() {
    return prefix;
  }

  /** Returns the namespaces that have not been deleted, the host's included. */
  public final List<NetNs> namespaces() {
    return List.copyOf(open);
  }

  /**
   * Creates a namespace; its loopback interface is down.
   *
   * @param role what it represents, such as {@code container}; unique within the test bed
   * @throws IOException if it cannot be created
   */
  public final NetNs namespace(String role) throws IOException {
    return create(role);
  }

  private NetNs create(String role) throws IOException {
    NetNs netns = NamespaceOwnership.create(prefix + role);
    open.add(netns);
    names.add(prefix + role);
    return netns;
  }

  /**
   * Deletes a namespace before the test bed is closed.
   *
   * @throws IOException if its name cannot be removed
   */
  public final void delete(NetNs netns) throws IOException {
    open.remove(netns);
    netns.close();
    NetNs.delete(nameOf(netns));
  }

  /** Returns the name by which {@code ip netns} knows a namespace. */
  public static String nameOf(NetNs netns) {
    return Objects.requireNonNull(netns.path().getFileName()).toString();
  }

  /**
   * Connects two namespaces by a veth pair. Both ends are up and have no addresses.
   *
   * @param link the name of the end in the first namespace
   * @param peerLink the name of the end in the second one
   * @throws IOException if the kernel refuses it
   */
  public static void connect(NetNs netns, String link, NetNs peer, String peerLink)
      throws IOException {
    try (RouteSocket routes = RouteSocket.open(netns);
        RouteSocket peerRoutes = RouteSocket.open(peer)) {
      LinkSpec peerSpec = LinkSpec.peer(peerLink).inNamespace(peer);
      routes.execute(LinkSpec.veth(link, peerSpec).up().request());
      peerRoutes.execute(LinkRequests.setUp(peerRoutes.links(peerLink).getFirst().index()));
    }
  }

  /**
   * Adds an address to a link, without duplicate address detection.
   *
   * @param address an IPv4 or IPv6 address
   * @param prefixLength the length of its network's prefix, in bits
   * @throws IOException if there is no such link or the kernel refuses it
   */
  public static void addAddress(NetNs netns, String link, String address, int prefixLength)
      throws IOException {
    InetAddress parsed = InetAddress.ofLiteral(address);
    int flags = parsed instanceof Inet6Address ? RtnetlinkConstants.IFA_F_NODAD : 0;
    try (RouteSocket routes = RouteSocket.open(netns)) {
      int index = routes.links(link).getFirst().index();
      routes.execute(new InterfaceAddress(index, parsed, prefixLength, flags).addRequest());
    }
  }

  /**
   * Runs a command in a namespace.
   *
   * @return what it printed on standard output, then on standard error
   * @throws AssertionError if its exit status is not 0, or if it runs for more than a minute
   * @throws IOException if it cannot be started
   */
  public static String run(NetNs netns, String... command) throws IOException {
    CommandOutput output = tryRun(netns, command);
    if (output.status() != 0) {
      throw new AssertionError(
          "%s in %s: exit status %d\n%s"
              .formatted(String.join(" ", command), netns, output.status(), output.text()));
    }
    return output.text();
  }

  /**
   * Runs a command in a namespace and returns its exit status, whatever it is.
   *
   * @throws AssertionError if it runs for more than a minute
   * @throws IOException if it cannot be started
   */
  public static CommandOutput tryRun(NetNs netns, String... command) throws IOException {
    List<String> arguments = List.of(command);
    try (ChildProcess process =
        netns.<ChildProcess, KernelException>call(
            () ->
                ChildProcess.start(
                    arguments, ChildEnvironment.inherited(), new byte[0], MAX_OUTPUT_BYTES))) {
      if (!process.communicate(COMMAND_TIMEOUT)) {
        throw new AssertionError(arguments + " does not end");
      }
      return new CommandOutput(
          process.exitStatus().orElse(-1), process.output() + process.errorOutput());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    }
  }

  /**
   * What a command printed.
   *
   * @param status its exit status; -1 if a signal ended it
   * @param text standard output followed by standard error
   */
  public record CommandOutput(int status, String text) {}

  /**
   * Lists the interfaces of a kind, as {@code ip link show type KIND} does.
   *
   * @throws IOException if {@code ip} cannot be started
   */
  public static List<String> linkNames(NetNs netns, String kind) throws IOException {
    return run(netns, "ip", "-o", "link", "show", "type", kind)
        .lines()
        .filter(line -> line.matches("\\d+: .*")) // not the warnings
        .map(line -> line.split("[:@]\\s*", 3)[1])
        .toList();
  }

  /**
   * Removes the test beds of processes that were killed.
   *
   * @param label the label that they have
   * @throws IOException if one cannot be removed
   */
  public static void removeAbandoned(String label) throws IOException {
    String start = "cni-%s-".formatted(label);
    for (String name : NamespaceOwnership.abandoned(start)) {
      NetNs.delete(name);
      String prefix = name.substring(0, Math.min(name.length(), start.length() + ID_DIGITS)) + "-";
      removeDirectories(prefix);
    }
  }

  private static void removeDirectories(String prefix) throws IOException {
    Path parent = Path.of(System.getProperty("java.io.tmpdir"));
    List<Path> directories;
    try (Stream<Path> files = Files.list(parent)) {
      directories = files.filter(file -> file.getFileName().toString().startsWith(prefix)).toList();
    }
    UserPrincipal self = Files.getOwner(Path.of("/proc/self/"));
    for (Path directory : directories) {
      // Others may create directories of such names there.
      if (Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)
          && Files.getOwner(directory, LinkOption.NOFOLLOW_LINKS).equals(self)) {
        deleteTree(directory);
      }
    }
  }

  /** Deletes the namespaces and the directory. */
  @Override
  public void close() throws IOException {
    open.forEach(NetNs::close);
    open.clear();
    if (KEPT.get()) {
      System.err.println("kept: " + directory + ", ip netns exec " + String.join(", ", names));
      return;
    }
    for (String name : names) {
      NetNs.delete(name); // also a file that a plugin created under a deleted namespace's name
    }
    names.clear();
    deleteTree(directory);
  }

  /** Deletes a directory, also while a process that is about to end still writes to it. */
  private static void deleteTree(Path directory) throws IOException {
    for (int attempt = 1; attempt < DELETE_ATTEMPTS; attempt++) {
      try {
        deleteTreeOnce(directory);
        return;
      } catch (UncheckedIOException e) {
        if (!(e.getCause() instanceof DirectoryNotEmptyException)) {
          throw e;
        }
        LockSupport.parkNanos(Duration.ofMillis(50).toNanos());
      }
    }
    deleteTreeOnce(directory);
  }

  private static void deleteTreeOnce(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      files.sorted(Comparator.reverseOrder()).forEach(TestBed::deleteFile);
    }
  }

  private static void deleteFile(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
