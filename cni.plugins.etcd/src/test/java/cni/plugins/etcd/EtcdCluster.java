// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * An etcd cluster of one or three members for tests, in a directory of its own. The methods may be
 * called by several threads, such as one that kills members and others that are clients.
 */
final class EtcdCluster implements AutoCloseable {
  /**
   * The token of the first start and of {@link #restore}: a restored cluster has the same cluster
   * and member IDs as before, and clients recognize the older state by its revision alone.
   */
  static final String TOKEN = "test";

  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final Duration POLL_INTERVAL = Duration.ofMillis(100);
  private static final int START_ATTEMPTS = 5;

  private final EtcdClusterOptions options;
  private final List<String> clientPrefix;
  private final Path directory;
  private final String initialCluster;
  private final List<EtcdMember> members = new ArrayList<>();

  private volatile @Nullable String rootPassword;

  private EtcdCluster(
      EtcdClusterOptions options, List<EtcdMember.Location> locations, List<String> clientPrefix)
      throws IOException {
    this.options = options;
    this.clientPrefix = clientPrefix;
    Path parent = options.parent();
    directory =
        parent == null
            ? Files.createTempDirectory("cni-etcd-")
            : Files.createTempDirectory(parent, "etcd-");
    List<String> urls = new ArrayList<>();
    for (int i = 0; i < locations.size(); i++) {
      urls.add(memberName(i) + "=" + EtcdMember.peerUrl(locations.get(i)));
    }
    initialCluster = String.join(",", urls);
    for (int i = 0; i < locations.size(); i++) {
      Path own = Files.createDirectory(directory.resolve(memberName(i)));
      members.add(new EtcdMember(memberName(i), locations.get(i), options, own, initialCluster));
    }
  }

  private static String memberName(int index) {
    return "m" + index;
  }

  /**
   * Starts members without TLS and waits until they are healthy.
   *
   * @param members their number, 1 or 3
   */
  static EtcdCluster start(int members) throws IOException, InterruptedException {
    return start(EtcdClusterOptions.members(members));
  }

  /**
   * Starts members on free ports of 127.0.0.1 and waits until they are healthy.
   *
   * @throws IOException if they are not within a minute
   */
  static EtcdCluster start(EtcdClusterOptions options) throws IOException, InterruptedException {
    for (int attempt = 1; ; attempt++) {
      try {
        return start(options, localLocations(options.members()), List.of());
      } catch (PortInUseException e) {
        if (attempt == START_ATTEMPTS) {
          throw e;
        }
      }
    }
  }

  private static List<EtcdMember.Location> localLocations(int count) throws IOException {
    List<Integer> ports = FreePorts.find(2 * count);
    List<EtcdMember.Location> locations = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      locations.add(
          new EtcdMember.Location("127.0.0.1", ports.get(2 * i), ports.get(2 * i + 1), List.of()));
    }
    return locations;
  }

  /**
   * Starts members at given locations and waits until they are healthy.
   *
   * @param clientPrefix the command that runs a client, such as {@code ip netns exec NAME}; may be
   *     empty
   */
  static EtcdCluster start(
      EtcdClusterOptions options, List<EtcdMember.Location> locations, List<String> clientPrefix)
      throws IOException, InterruptedException {
    var cluster = new EtcdCluster(options, locations, clientPrefix);
    try {
      cluster.startMembers();
      return cluster;
    } catch (IOException | InterruptedException | RuntimeException | Error e) {
      try {
        cluster.close();
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  private void startMembers() throws IOException, InterruptedException {
    for (EtcdMember member : members) {
      member.start();
    }
    awaitHealthy();
  }

  /** Another process has bound a port between the search for it and the start of a member. */
  private static final class PortInUseException extends IOException {
    private static final long serialVersionUID = 1;

    PortInUseException(String message) {
      super(message);
    }
  }

  /** Returns the URLs of all members, also of those that are not running. */
  List<String> endpoints() {
    return members.stream().map(EtcdMember::endpoint).toList();
  }

  /** Returns a member by its index, from 0. */
  EtcdMember member(int index) {
    return members.get(index);
  }

  /** Returns all members. */
  List<EtcdMember> members() {
    return List.copyOf(members);
  }

  /** Returns the running, unpaused members that clients can connect to. */
  private List<EtcdMember> active() {
    return members.stream().filter(EtcdMember::isActive).toList();
  }

  private List<String> activeEndpoints() {
    return active().stream().map(EtcdMember::endpoint).toList();
  }

  private Etcdctl etcdctl() {
    return new Etcdctl(clientPrefix, options.tls(), rootPassword);
  }

  /**
   * Runs etcdctl with the endpoints of all active members, as the user root if authentication is
   * enabled.
   *
   * @return its standard output
   * @throws IOException if its exit status is not 0
   */
  String etcdctl(String... arguments) throws IOException, InterruptedException {
    return etcdctl().run(activeEndpoints(), arguments);
  }

  /** Returns the command line that {@link #etcdctl(String...)} runs. */
  List<String> etcdctlCommand(String... arguments) {
    return etcdctl().command(activeEndpoints(), arguments);
  }

  /**
   * Runs etcdctl with the endpoint of one member.
   *
   * @return its result, whatever its exit status
   */
  Etcdctl.Output tryEtcdctl(EtcdMember member, String... arguments)
      throws IOException, InterruptedException {
    return etcdctl().tryRun(List.of(member.endpoint()), arguments);
  }

  /**
   * Waits until every active member serves a linearizable read.
   *
   * @throws IOException if that takes more than a minute or a process has ended by itself
   */
  void awaitHealthy() throws IOException, InterruptedException {
    for (EtcdMember member : members) {
      if (!becomesTrue(() -> isHealthy(member))) {
        throw new IOException(member.name() + " is not healthy: " + member.excerpt());
      }
    }
  }

  private boolean isHealthy(EtcdMember member) throws IOException, InterruptedException {
    if (member.isStarted() && !member.isRunning()) {
      String text = member.name() + " has ended: " + member.excerpt();
      throw text.contains("address already in use")
          ? new PortInUseException(text)
          : new IOException(text);
    }
    return !member.isActive()
        || tryEtcdctl(member, "endpoint", "health", "--command-timeout=2s").status() == 0;
  }

  private interface Condition {
    boolean holds() throws IOException, InterruptedException;
  }

  private static boolean becomesTrue(Condition condition) throws IOException, InterruptedException {
    long start = System.nanoTime();
    while (!condition.holds()) {
      if (System.nanoTime() - start > TIMEOUT.toNanos()) {
        return false;
      }
      Thread.sleep(POLL_INTERVAL);
    }
    return true;
  }

  /** Returns the views of the active members that reply. */
  List<MemberStatus> statuses() throws IOException, InterruptedException {
    List<MemberStatus> statuses = new ArrayList<>();
    for (EtcdMember member : active()) {
      Etcdctl.Output output =
          tryEtcdctl(member, "endpoint", "status", "-w=json", "--command-timeout=2s");
      if (output.status() == 0) {
        statuses.add(MemberStatus.parse(member, output.output()));
      }
    }
    return statuses;
  }

  /**
   * Returns the leader, after an election if one is needed.
   *
   * @throws IOException if there is none within a minute
   */
  EtcdMember leader() throws IOException, InterruptedException {
    return leaderStatus().member();
  }

  private MemberStatus leaderStatus() throws IOException, InterruptedException {
    List<MemberStatus> found = new ArrayList<>();
    if (!becomesTrue(() -> found.addAll(currentLeader().stream().toList()))) {
      throw new IOException("no member is the leader");
    }
    return found.getFirst();
  }

  /** A leader that lost the majority without noticing has an earlier term. */
  private Optional<MemberStatus> currentLeader() throws IOException, InterruptedException {
    return statuses().stream()
        .filter(MemberStatus::isLeader)
        .max(Comparator.comparing(MemberStatus::term));
  }

  /**
   * Makes another active member the leader.
   *
   * @return the new leader
   */
  EtcdMember moveLeader() throws IOException, InterruptedException {
    MemberStatus old = leaderStatus();
    MemberStatus target =
        statuses().stream()
            .filter(status -> status.member() != old.member())
            .findFirst()
            .orElseThrow(() -> new IllegalStateException("no other member is active"));
    etcdctl("move-leader", target.id().toString(16));
    if (!becomesTrue(() -> leader() == target.member())) {
      throw new IOException(target.member().name() + " is not the leader");
    }
    return target.member();
  }

  /** Returns the latest revision. */
  long revision() throws IOException, InterruptedException {
    JsonNode response = Etcdctl.json(etcdctl("get", "revision", "--keys-only", "-w=json"));
    return response.path("header").path("revision").asLong();
  }

  /**
   * Discards all revisions before the latest.
   *
   * @return the latest revision
   */
  long compact() throws IOException, InterruptedException {
    long revision = revision();
    compact(revision);
    return revision;
  }

  /** Discards all revisions before one, unless that has been done. */
  void compact(long revision) throws IOException, InterruptedException {
    try {
      etcdctl("compact", "--physical", Long.toString(revision));
    } catch (IOException e) {
      // etcdctl repeats a request whose answer it has missed.
      if (!String.valueOf(e.getMessage()).contains("has been compacted")) {
        throw e;
      }
    }
  }

  /** Defragments the databases of all active members, which do not reply meanwhile. */
  void defragment() throws IOException, InterruptedException {
    etcdctl("defrag");
  }

  /** Saves the state of the cluster to a file. */
  void snapshot(Path file) throws IOException, InterruptedException {
    etcdctl().run(List.of(leader().endpoint()), "snapshot", "save", file.toString());
  }

  /**
   * Kills all members, replaces their data by that of a snapshot and starts them at the same
   * endpoints. The revisions since the snapshot are lost and are given to other transactions.
   */
  void restore(Path snapshot) throws IOException, InterruptedException {
    for (EtcdMember member : members) {
      member.kill();
      deleteTree(member.data());
    }
    for (EtcdMember member : members) {
      etcdctl()
          .run(
              List.of(),
              "snapshot",
              "restore",
              snapshot.toString(),
              "--name=" + member.name(),
              "--data-dir=" + member.data(),
              "--initial-cluster=" + initialCluster,
              "--initial-cluster-token=" + TOKEN,
              "--initial-advertise-peer-urls=" + EtcdMember.peerUrl(member.location()));
    }
    startMembers();
  }

  /**
   * Enables authentication with the user root and a user that may read and write the keys of a
   * prefix.
   */
  void enableAuth(String rootPassword, String user, String password, String prefix)
      throws IOException, InterruptedException {
    etcdctl("user", "add", "root:" + rootPassword);
    etcdctl("role", "add", "root");
    etcdctl("user", "grant-role", "root", "root");
    String role = user + "-role";
    etcdctl("role", "add", role);
    etcdctl("role", "grant-permission", role, "readwrite", prefix, "--prefix");
    etcdctl("user", "add", user + ":" + password);
    etcdctl("user", "grant-role", user, role);
    etcdctl("auth", "enable");
    this.rootPassword = rootPassword;
  }

  @Override
  public String toString() {
    return members.stream().map(EtcdMember::endpoint).collect(Collectors.joining(","));
  }

  /** Kills all members and deletes their files. */
  @Override
  public void close() throws IOException {
    members.forEach(EtcdMember::kill);
    deleteTree(directory);
  }

  private static void deleteTree(Path directory) throws IOException {
    List<Path> files;
    try (Stream<Path> tree = Files.walk(directory)) {
      files = tree.sorted(Comparator.reverseOrder()).toList();
    } catch (NoSuchFileException | UncheckedIOException e) {
      return; // never created
    }
    for (Path file : files) {
      Files.deleteIfExists(file);
    }
  }
}
