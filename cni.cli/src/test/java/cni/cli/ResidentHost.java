// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.process.ChildProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A resident host of the image, on a socket of its own, and callers that reach it. It runs no
 * daemons of plugins.
 */
final class ResidentHost implements AutoCloseable {
  private static final Duration START_TIME = Duration.ofSeconds(60);

  private final ImageRunner image;
  private final Path socket;
  private final ChildProcess process;

  /** Starts the host in the runner's host namespace, and waits until it listens. */
  ResidentHost(ImageRunner image, String... options) throws Exception {
    this(image, ImageRunner.IMAGE.resolve("bin/cni"), List.of(), List.of(options));
  }

  /** Lets a program listen that starts the host at the first connection and passes the socket. */
  static ResidentHost activated(ImageRunner image) throws Exception {
    Path activator = Path.of("/usr/bin/systemd-socket-activate");
    String socket = socket(image).toString();
    String command = ImageRunner.IMAGE.resolve("bin/cni").toString();
    return new ResidentHost(image, activator, List.of("-l", socket, command), List.of());
  }

  /** Starts the host with a limit of open files. */
  static ResidentHost withMaxFiles(ImageRunner image, int files) throws Exception {
    String command = ImageRunner.IMAGE.resolve("bin/cni").toString();
    List<String> limit = List.of("--nofile=" + files, command);
    return new ResidentHost(image, Path.of("/usr/bin/prlimit"), limit, List.of());
  }

  private ResidentHost(ImageRunner image, Path program, List<String> before, List<String> options)
      throws Exception {
    this.image = image;
    socket = socket(image);
    List<String> arguments = new ArrayList<>(before);
    arguments.addAll(List.of("serve", "--socket", socket.toString(), "--daemon", "none"));
    arguments.addAll(options);
    process = image.start(program, Map.of(), "", arguments.toArray(String[]::new));
    long end = System.nanoTime() + START_TIME.toNanos();
    while (Files.notExists(socket)) {
      assertTrue(!process.communicate(Duration.ofMillis(10)), this::log);
      assertTrue(System.nanoTime() < end, "the host does not start");
    }
  }

  private static Path socket(ImageRunner image) {
    return image.host().directory().resolve("cni.sock");
  }

  /** Returns the environment of callers, with these variables. */
  Map<String, String> callers(Map<String, String> variables) {
    Map<String, String> all = new HashMap<>(variables);
    all.put("CNI_HOST_SOCKET", socket.toString());
    return all;
  }

  Path socket() {
    return socket;
  }

  /** Returns what has been read of what the host prints. */
  String log() {
    return process.output() + process.errorOutput();
  }

  /** Reads what the host prints until it contains a text. */
  void awaitLog(String text) throws Exception {
    long end = System.nanoTime() + START_TIME.toNanos();
    while (!log().contains(text)) {
      assertTrue(System.nanoTime() < end && !process.communicate(Duration.ofMillis(10)), this::log);
    }
  }

  /** Reads what the host prints for a time. */
  void readLog(Duration time) throws Exception {
    assertFalse(process.communicate(time), this::log);
  }

  /** Returns the host's status. */
  ObjectNode status() throws Exception {
    ImageRunner.CommandOutput output =
        image.cni(Map.of(), "serve", "--socket", socket.toString(), "--status", "--format", "json");
    assertEquals(0, output.status(), output::err);
    return output.json();
  }

  /** Returns how many requests of a verb have been answered. */
  int answered(String name, String verb) throws Exception {
    for (JsonNode calls : status().path("calls")) {
      if (calls.path("name").asString("").equals(name)
          && calls.path("verb").asString("").equals(verb)) {
        return calls.path("served").asInt(0);
      }
    }
    return 0;
  }

  /** Kills the host. */
  void kill() throws Exception {
    process.kill();
    assertTrue(process.communicate(Duration.ofSeconds(60)), "SIGKILL does not end the host");
  }

  /** Ends the host as the service manager does. */
  void terminate() throws Exception {
    process.terminate();
    assertTrue(process.communicate(Duration.ofSeconds(60)), "SIGTERM does not end the host");
  }

  @Override
  public void close() {
    process.close();
  }
}
