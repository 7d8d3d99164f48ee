// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Runs etcdctl.
 *
 * @param prefix the command that runs it, such as {@code ip netns exec NAME}; may be empty
 * @param tls the certificates; null for plain HTTP
 * @param rootPassword the password of the user root; null if authentication is not enabled
 */
record Etcdctl(
    List<String> prefix, EtcdClusterOptions.@Nullable Tls tls, @Nullable String rootPassword) {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final int MAX_OUTPUT_BYTES = 1 << 28;

  /**
   * What etcdctl printed.
   *
   * @param status its exit status; -1 if a signal ended it
   * @param output its standard output
   * @param error its standard error
   */
  record Output(int status, String output, String error) {}

  /** Returns the command line of a command. */
  List<String> command(List<String> endpoints, String... arguments) {
    List<String> command = new ArrayList<>(prefix);
    command.add("etcdctl");
    if (!endpoints.isEmpty()) {
      command.add("--endpoints=" + String.join(",", endpoints));
      command.addAll(credentials());
    }
    command.addAll(List.of(arguments));
    return command;
  }

  /**
   * Runs a command and returns its result, whatever its exit status.
   *
   * @param endpoints the URLs of members; empty for a command that has none
   * @throws IOException if it cannot be started or does not end within a minute
   */
  Output tryRun(List<String> endpoints, String... arguments)
      throws IOException, InterruptedException {
    List<String> command = command(endpoints, arguments);
    ChildEnvironment environment =
        ChildEnvironment.inherited().withoutPrefix("ETCD").with(Map.of("ETCDCTL_API", "3"));
    try (ChildProcess process =
        ChildProcess.start(command, environment, new byte[0], MAX_OUTPUT_BYTES)) {
      if (!process.communicate(TIMEOUT)) {
        throw new IOException(command + " does not end within " + TIMEOUT);
      }
      if (process.isOutputTruncated()) {
        throw new IOException(command + " prints more than " + MAX_OUTPUT_BYTES + " bytes");
      }
      return new Output(
          process.exitStatus().orElse(-1), process.output(), process.errorOutput().strip());
    }
  }

  /**
   * Runs a command.
   *
   * @return its standard output
   * @throws IOException if its exit status is not 0
   */
  String run(List<String> endpoints, String... arguments) throws IOException, InterruptedException {
    Output output = tryRun(endpoints, arguments);
    if (output.status() != 0) {
      throw new IOException(
          "etcdctl %s at %s: exit status %d: %s%s"
              .formatted(
                  String.join(" ", arguments),
                  endpoints,
                  output.status(),
                  output.output(),
                  output.error()));
    }
    return output.output();
  }

  /** Parses the output of a command with the option {@code -w json}. */
  static JsonNode json(String text) throws IOException {
    try {
      return Json.parseAny(text.getBytes(StandardCharsets.UTF_8), "etcdctl");
    } catch (CniException e) {
      throw new IOException(text, e);
    }
  }

  private List<String> credentials() {
    List<String> options = new ArrayList<>();
    if (tls != null) {
      options.add("--cacert=" + tls.authority());
      if (tls.serverName() != null) { // etcdctl has no option for the expected name
        options.add("--insecure-skip-tls-verify");
      }
      if (tls.client() != null) {
        options.add("--cert=" + tls.client().certificate());
        options.add("--key=" + tls.client().key());
      }
    }
    if (rootPassword != null) {
      options.add("--user=root:" + rootPassword);
    }
    return options;
  }
}
