// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A program to run as a separate process.
 *
 * @param command the command
 * @param environment the variables to add to the environment of this process
 * @param input its standard input
 */
record ExternalCommand(List<String> command, Map<String, String> environment, String input) {
  private static final long EXIT_TIMEOUT_SECONDS = 20;

  static ExternalCommand of(String... words) {
    return new ExternalCommand(List.of(words), Map.of(), "");
  }

  /** Returns the command that runs a main class of this class path in a separate JVM. */
  static ExternalCommand javaProgram(Class<?> main, List<String> options) {
    List<String> words = new ArrayList<>();
    words.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    words.addAll(options);
    words.add("--enable-native-access=ALL-UNNAMED");
    words.add("-cp");
    words.add(System.getProperty("java.class.path"));
    words.add(main.getName());
    return new ExternalCommand(words, Map.of(), "");
  }

  ExternalCommand withArguments(String... more) {
    List<String> all = new ArrayList<>(command);
    all.addAll(List.of(more));
    return new ExternalCommand(all, environment, input);
  }

  ExternalCommand withEnvironment(Map<String, String> variables) {
    return new ExternalCommand(command, variables, input);
  }

  ExternalCommand withInput(String text) {
    return new ExternalCommand(command, environment, text);
  }

  /** Waits until a process has ended, and kills it if it takes too long. */
  static void awaitExit(Process process) {
    try {
      if (!process.waitFor(EXIT_TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Runs the program to its end.
   *
   * @return its standard output and standard error
   * @throws IOException if it cannot be started or its exit status is not 0
   */
  String run() throws IOException, InterruptedException {
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    Process process = builder.start();
    try (var out = process.getOutputStream()) {
      out.write(input.getBytes(UTF_8));
    }
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(String.join(" ", command) + " failed: " + output);
    }
    return output;
  }
}
