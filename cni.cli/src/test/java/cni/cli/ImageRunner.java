// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/**
 * Runs the image's command and plugins in the host's namespace, with an environment that contains
 * no JDK.
 */
record ImageRunner(TestHost host) {
  static final Path IMAGE = Path.of("target", "image").toAbsolutePath();
  static final Duration TIMEOUT = Duration.ofMinutes(3);

  /** The exit status and the output of a run. */
  record CommandOutput(int status, String out, String err) {
    ObjectNode json() throws CniException {
      return Json.parse(out, "standard output");
    }
  }

  /** Starts the command without waiting for it. */
  ChildProcess start(Map<String, String> variables, String... arguments) throws KernelException {
    return start(IMAGE.resolve("bin/cni"), variables, "", arguments);
  }

  /** Starts a program with the environment of the command. */
  ChildProcess start(Path program, Map<String, String> variables, String input, String... arguments)
      throws KernelException {
    List<String> command = new ArrayList<>(List.of(program.toString()));
    command.addAll(List.of(arguments));
    Map<String, String> environment = new HashMap<>();
    environment.put("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    environment.put("NETCONFPATH", host.networks().toString());
    environment.put("CNI_PATH", host.executables().toString());
    environment.put("CNI_HOST_SOCKET", "none"); // the machine may have a resident host
    environment.putAll(variables);
    return host.netns()
        .<ChildProcess, KernelException>call(
            () ->
                ChildProcess.start(
                    command,
                    ChildEnvironment.empty().with(environment),
                    input.getBytes(StandardCharsets.UTF_8),
                    1 << 20));
  }

  CommandOutput cni(Map<String, String> variables, String... arguments) throws Exception {
    List<String> all = new ArrayList<>(List.of(arguments));
    if (!List.of(
            "--help", "--version", "demo", "completion", "install", "new-plugin", "policy", "serve")
        .contains(arguments[0])) {
      all.addAll(1, List.of("--cache", host.cache().toString()));
    }
    try (ChildProcess process = start(variables, all.toArray(String[]::new))) {
      return awaitExit(process, all.toString());
    }
  }

  /** Runs a plugin executable as a runtime does. */
  CommandOutput plugin(Path executable, Map<String, String> environment, String input)
      throws Exception {
    try (ChildProcess process = start(executable, environment, input)) {
      return awaitExit(process, executable.toString());
    }
  }

  /** Runs a shell script, with this image's directory as IMAGE and the plugin path as CNI_PATH. */
  CommandOutput shell(Map<String, String> variables, String script, String input) throws Exception {
    Map<String, String> environment = new HashMap<>(variables);
    environment.putIfAbsent("IMAGE", IMAGE.toString());
    try (ChildProcess process = start(Path.of("/bin/sh"), environment, input, "-c", script)) {
      return awaitExit(process, script);
    }
  }

  /** Returns whether a process exists and has not ended. */
  static boolean isAlive(String pid) {
    try {
      return !Files.readString(Path.of("/proc", pid, "stat")).contains(") Z ");
    } catch (IOException e) {
      return false;
    }
  }

  private static CommandOutput awaitExit(ChildProcess process, String description)
      throws Exception {
    assertTrue(
        process.communicate(TIMEOUT),
        () -> description + " does not end: " + process.errorOutput());
    return new CommandOutput(
        process.exitStatus().orElse(-1), process.output(), process.errorOutput());
  }
}
