package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A program to be run.
 *
 * @param command the command
 * @param environment what is added to this process's own
 * @param input what it reads
 */
record ExternalCommand(List<String> command, Map<String, String> environment, String input) {
  static ExternalCommand of(String... words) {
    return new ExternalCommand(List.of(words), Map.of(), "");
  }

  /** A class of this program, in a virtual machine of its own. */
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

  /**
   * Runs it.
   *
   * @return what it prints
   * @throws IOException if it fails
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
