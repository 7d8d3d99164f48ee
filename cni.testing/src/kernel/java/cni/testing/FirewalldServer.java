// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** firewalld in a namespace, with a D-Bus bus of its own. Its default zone is {@code block}. */
public final class FirewalldServer implements AutoCloseable {
  private static final Duration TIMEOUT = Duration.ofMinutes(1);

  private static final String BUS =
      """
      <busconfig>
        <type>system</type> <listen>unix:path=@BUS@</listen> <auth>EXTERNAL</auth>
        <policy context="default">
          <allow send_destination="*"/> <allow receive_sender="*"/> <allow own="*"/>
          <allow user="*"/>
        </policy>
      </busconfig>
      """;

  private final Deque<ChildProcess> daemons = new ArrayDeque<>();
  private final NetNs netns;
  private final Path directory;

  private FirewalldServer(NetNs netns, Path directory) {
    this.netns = netns;
    this.directory = directory;
  }

  /**
   * Starts the bus and firewalld, and waits until it replies.
   *
   * @param directory for their files; is created
   */
  public static FirewalldServer start(NetNs netns, Path directory)
      throws IOException, InterruptedException {
    var server = new FirewalldServer(netns, Files.createDirectories(directory));
    try {
      server.start();
      return server;
    } catch (IOException | InterruptedException | RuntimeException | Error e) {
      server.close();
      throw e;
    }
  }

  private void start() throws IOException, InterruptedException {
    Path config = directory.resolve("bus.conf");
    Files.writeString(config, BUS.replace("@BUS@", socket().toString()));
    startDaemon("dbus-daemon", "--config-file=" + config, "--nofork");
    await(() -> Files.exists(socket()));
    Path etc = Files.createDirectories(directory.resolve("etc"));
    Files.writeString(etc.resolve("firewalld.conf"), "DefaultZone=block\n");
    startDaemon(
        "firewalld",
        "--nofork",
        "--nopid",
        "--system-config",
        etc.toString(),
        "--log-file",
        directory.resolve("log").toString());
    await(() -> TestBed.run(netns, "nft", "list", "tables").contains("firewalld"));
    await(() -> tryCommand("--state").status() == 0);
  }

  private void startDaemon(String... command) throws KernelException {
    Map<String, String> with = environment();
    daemons.push(
        netns.<ChildProcess, KernelException>call(
            () ->
                ChildProcess.start(
                    List.of(command),
                    ChildEnvironment.inherited().with(with),
                    new byte[0],
                    1 << 20)));
  }

  private interface Condition {
    boolean holds() throws IOException;
  }

  private static void await(Condition condition) throws IOException, InterruptedException {
    long end = System.nanoTime() + TIMEOUT.toNanos();
    while (!condition.holds()) {
      if (System.nanoTime() - end > 0) {
        throw new AssertionError("a daemon does not start within " + TIMEOUT);
      }
      Thread.sleep(100);
    }
  }

  /** Returns the socket of the bus. */
  public Path socket() {
    return directory.resolve("bus");
  }

  /** Returns the environment in which a program uses the bus as that of the system. */
  public Map<String, String> environment() {
    return Map.of("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=" + socket());
  }

  private TestBed.CommandOutput tryCommand(String... options) throws IOException {
    List<String> command = new ArrayList<>(List.of("env"));
    environment().forEach((name, value) -> command.add(name + "=" + value));
    command.add("firewall-cmd");
    command.addAll(List.of(options));
    return TestBed.tryRun(netns, command.toArray(String[]::new));
  }

  /**
   * Runs firewall-cmd and returns what it prints.
   *
   * @throws AssertionError if it fails
   */
  public String command(String... options) throws IOException {
    TestBed.CommandOutput output = tryCommand(options);
    if (output.status() != 0) {
      throw new AssertionError("firewall-cmd %s: %s".formatted(List.of(options), output.text()));
    }
    return output.text();
  }

  /** Returns the sources of the zones that have some, sorted as text. */
  public Map<String, List<String>> sourcesByZone() throws IOException {
    Map<String, List<String>> sources = new TreeMap<>();
    String zone = "";
    for (String line : command("--get-active-zones").lines().toList()) {
      String[] words = line.strip().split("\\s+", -1);
      if (!line.startsWith(" ")) {
        zone = words[0];
      } else if (words[0].equals("sources:")) {
        sources.put(zone, Stream.of(words).skip(1).sorted().toList());
      }
    }
    return sources;
  }

  /** Returns the sources of a zone, sorted as text. */
  public List<String> sources(String zone) throws IOException {
    return sourcesByZone().getOrDefault(zone, List.of());
  }

  /** Stops both daemons. */
  @Override
  public void close() {
    while (!daemons.isEmpty()) {
      daemons.pop().close();
    }
  }
}
