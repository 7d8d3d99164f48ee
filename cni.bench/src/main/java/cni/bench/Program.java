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
 * @param words the command
 * @param environment what is added to this process's own
 * @param input what it reads
 */
record Program(List<String> words, Map<String, String> environment, String input) {
  static Program of(String... words) {
    return new Program(List.of(words), Map.of(), "");
  }

  /** A class of this program, in a virtual machine of its own. */
  static Program java(Class<?> main, List<String> options) {
    List<String> words = new ArrayList<>();
    words.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    words.addAll(options);
    words.add("--enable-native-access=ALL-UNNAMED");
    words.add("-cp");
    words.add(System.getProperty("java.class.path"));
    words.add(main.getName());
    return new Program(words, Map.of(), "");
  }

  Program with(String... more) {
    List<String> all = new ArrayList<>(words);
    all.addAll(List.of(more));
    return new Program(all, environment, input);
  }

  Program in(Map<String, String> variables) {
    return new Program(words, variables, input);
  }

  Program reading(String text) {
    return new Program(words, environment, text);
  }

  /**
   * Runs it.
   *
   * @return what it prints
   * @throws IOException if it fails
   */
  String run() throws IOException, InterruptedException {
    var builder = new ProcessBuilder(words).redirectErrorStream(true);
    builder.environment().putAll(environment);
    Process process = builder.start();
    try (var out = process.getOutputStream()) {
      out.write(input.getBytes(UTF_8));
    }
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(String.join(" ", words) + " failed: " + output);
    }
    return output;
  }
}
