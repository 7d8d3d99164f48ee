// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A member of an {@link EtcdCluster}: one etcd process and its data. */
final class EtcdMember {
  /** The number of characters of the log that a failure shows. */
  private static final int MAX_LOG_EXCERPT = 4000;

  /**
   * Where a member runs.
   *
   * @param host its IP address
   * @param clientPort the port for clients
   * @param peerPort the port for other members
   * @param prefix the command that runs a command there, such as {@code ip netns exec NAME}; may be
   *     empty
   */
  record Location(String host, int clientPort, int peerPort, List<String> prefix) {}

  private final String name;
  private final Location location;
  private final EtcdClusterOptions options;
  private final Path directory;
  private final String initialCluster;

  private volatile @Nullable ServerProcess process;
  private volatile boolean paused;
  private volatile boolean reachable = true;

  EtcdMember(
      String name,
      Location location,
      EtcdClusterOptions options,
      Path directory,
      String initialCluster) {
    this.name = name;
    this.location = location;
    this.options = options;
    this.directory = directory;
    this.initialCluster = initialCluster;
  }

  static String peerUrl(Location location) {
    return "http://" + location.host() + ":" + location.peerPort();
  }

  String name() {
    return name;
  }

  Location location() {
    return location;
  }

  /** Returns the URL for clients. */
  String endpoint() {
    return clientUrl(location.host());
  }

  private String clientUrl(String host) {
    String scheme = options.tls() == null ? "http" : "https";
    return scheme + "://" + host + ":" + location.clientPort();
  }

  /** Returns the directory of the data, which does not exist before the first start. */
  Path data() {
    return directory.resolve("data");
  }

  private Path log() {
    return directory.resolve("log");
  }

  /**
   * Starts the process on the data that there is, without waiting until it serves requests: a
   * member of a cluster without a majority does not.
   *
   * @see EtcdCluster#awaitHealthy
   */
  synchronized void start() throws IOException, InterruptedException {
    if (isRunning()) {
      throw new IllegalStateException(name + " is running");
    }
    paused = false;
    process = ServerProcess.start(location.prefix(), command(), directory.resolve("output"));
  }

  private List<String> command() {
    EtcdClusterOptions.Tls tls = options.tls();
    String advertised =
        tls != null && tls.serverName() != null ? clientUrl(tls.serverName()) : endpoint();
    List<String> command =
        new ArrayList<>(
            List.of(
                "etcd",
                "--name=" + name,
                "--data-dir=" + data(),
                "--listen-client-urls=" + endpoint(),
                "--advertise-client-urls=" + advertised,
                "--listen-peer-urls=" + peerUrl(location),
                "--initial-advertise-peer-urls=" + peerUrl(location),
                "--initial-cluster=" + initialCluster,
                "--initial-cluster-token=" + EtcdCluster.TOKEN,
                "--snapshot-count=" + options.snapshotCount(),
                "--quota-backend-bytes=" + options.quotaBytes(),
                "--bcrypt-cost=4", // the least: passwords of tests are no secrets
                "--enable-v2=false",
                "--logger=zap",
                "--log-level=warn",
                "--log-outputs=" + log()));
    if (!options.fsync()) {
      command.add("--unsafe-no-fsync");
    }
    if (tls != null) {
      command.add("--cert-file=" + tls.server().certificate());
      command.add("--key-file=" + tls.server().key());
      if (tls.clientRequired()) {
        command.add("--client-cert-auth=true");
        command.add("--trusted-ca-file=" + tls.authority()); // alone it requires them, too
      }
    }
    return command;
  }

  /** Kills the process with SIGKILL; does nothing if it has ended. */
  synchronized void kill() {
    ServerProcess running = process;
    process = null;
    if (running != null) {
      running.kill();
    }
  }

  /** Stops the process with SIGSTOP: connections to it are accepted and get no response. */
  synchronized void pause() throws IOException, InterruptedException {
    running().signal("STOP");
    paused = true;
  }

  /** Lets a stopped process continue. */
  synchronized void resume() throws IOException, InterruptedException {
    running().signal("CONT");
    paused = false;
  }

  private ServerProcess running() {
    ServerProcess running = process;
    if (running == null) {
      throw new IllegalStateException(name + " is not running");
    }
    return running;
  }

  /** Returns whether the process has been started and not been killed by {@link #kill}. */
  boolean isStarted() {
    return process != null;
  }

  /** Returns whether the process exists. */
  boolean isRunning() {
    ServerProcess running = process;
    return running != null && running.isAlive();
  }

  /** Returns whether commands of the fixture use this member. */
  boolean isActive() {
    return isRunning() && !paused && reachable;
  }

  /** Sets whether clients can connect to this member. */
  void setReachable(boolean value) {
    reachable = value;
  }

  /** Returns the ends of the log and of the output of the process. */
  String excerpt() throws IOException {
    var text = new StringBuilder();
    for (Path file : List.of(directory.resolve("output"), log())) {
      if (Files.exists(file)) {
        String content = Files.readString(file);
        text.append(content.substring(Math.max(0, content.length() - MAX_LOG_EXCERPT)));
      }
    }
    return text.toString();
  }
}
