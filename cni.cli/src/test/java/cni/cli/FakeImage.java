// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.CniException;
import cni.api.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.node.ObjectNode;

/**
 * The native launcher in an image whose bin/cni-jvm only records its arguments and its standard
 * input.
 */
record FakeImage(Path directory) {
  /** A network configuration. */
  static final String CONFIG = "{ \"cniVersion\": \"0.4.0\", \"name\": \"n\" }\n";

  /** More than a socket and a pipe buffer. */
  static final String LARGE = "large ".repeat(1 << 20);

  /** What bin/cni-jvm prints. */
  private static final String ANSWER = "answer of the image\n";

  /** The exit status of bin/cni-jvm. */
  private static final int STATUS = 7;

  private static final int TIMEOUT_SECONDS = 60;

  /** Reads the input of the same requests as the image does. */
  private static final String SCRIPT =
      """
      #!/bin/sh
      image=${0%%/*}/..
      echo "$*" >>"$image/calls"
      case ${CNI_COMMAND-} in '' | VERSION) ;; *) cat >"$image/input" ;; esac
      printf '%%s' '%s'
      exit %d
      """
          .formatted(ANSWER, STATUS);

  /** The exit status and the output of a run. */
  record RunOutput(int status, String out, String err) {
    ObjectNode json() throws CniException {
      return Json.parse(out, "standard output");
    }
  }

  /** Creates an image. Skips the test if there is no native launcher. */
  static FakeImage create(Path directory) throws IOException {
    boolean isNative = hasNativeLauncher();
    assertTrue(isNative || System.getenv("CI") == null, "CI has no C compiler");
    assumeTrue(isNative, "the image was built without a C compiler");
    var image = new FakeImage(directory);
    Files.createDirectories(directory.resolve("bin"));
    Files.createDirectories(directory.resolve("lib"));
    Files.copy(
        ImageRunner.IMAGE.resolve("bin/cni"), image.launcher(), StandardCopyOption.COPY_ATTRIBUTES);
    Files.writeString(image.script(), SCRIPT);
    assertTrue(image.script().toFile().setExecutable(true));
    Files.writeString(image.modules(), "modules of this image");
    return image;
  }

  private static boolean hasNativeLauncher() throws IOException {
    byte[] program = Files.readAllBytes(ImageRunner.IMAGE.resolve("bin/cni"));
    return program[0] == 0x7f && program[1] == 'E';
  }

  Path launcher() {
    return directory.resolve("bin/cni");
  }

  Path script() {
    return directory.resolve("bin/cni-jvm");
  }

  Path modules() {
    return directory.resolve("lib/modules");
  }

  /** Returns the path of a host's socket. */
  Path socket() {
    return directory.resolve("sock");
  }

  /** Returns an environment that names the host's socket and these other variables. */
  Map<String, String> variables(String... keysAndValues) {
    Map<String, String> variables = new HashMap<>();
    variables.put("CNI_HOST_SOCKET", socket().toString());
    for (int i = 0; i < keysAndValues.length; i += 2) {
      variables.put(keysAndValues[i], keysAndValues[i + 1]);
    }
    return variables;
  }

  /** Returns the launcher under a plugin's name. */
  Path plugin(String type) throws IOException {
    Path link = directory.resolve(type);
    return Files.exists(link) ? link : Files.createSymbolicLink(link, launcher());
  }

  /** Returns the arguments of the executions of bin/cni-jvm, with spaces between. */
  List<String> calls() throws IOException {
    Path calls = directory.resolve("calls");
    return Files.exists(calls) ? Files.readAllLines(calls) : List.of();
  }

  /** Returns the standard input of the last execution of bin/cni-jvm. */
  String input() throws IOException {
    return Files.readString(directory.resolve("input"));
  }

  /** Starts a program in the image's directory, with these variables only and an open input. */
  Process start(Map<String, String> variables, String... command) throws IOException {
    ProcessBuilder builder = builder(variables, command);
    return builder.redirectInput(ProcessBuilder.Redirect.PIPE).start();
  }

  /** Runs a program as {@link #start} does, but with this input. */
  RunOutput run(Map<String, String> variables, String input, String... command) throws Exception {
    Path file = Files.writeString(directory.resolve("stdin"), input);
    return await(builder(variables, command).redirectInput(file.toFile()).start());
  }

  /** Runs bridge for ADD, with this configuration. */
  RunOutput add(String config) throws Exception {
    return run(variables("CNI_COMMAND", "ADD"), config, plugin("bridge").toString());
  }

  /** Requires that the host answered, by {@link FakeHost.Connection#succeed}, and the image not. */
  void assertHostAnswered(RunOutput output) throws IOException {
    assertEquals(FakeHost.ANSWER, output.out(), output::err);
    assertEquals(0, output.status(), output::err);
    assertEquals(List.of(), calls());
  }

  /** Requires that bin/cni-jvm answered, and was executed once with these arguments. */
  void assertImageAnswered(String arguments, RunOutput output) throws IOException {
    assertEquals(ANSWER, output.out(), output::err);
    assertEquals("", output.err());
    assertEquals(STATUS, output.status());
    assertEquals(List.of(arguments), calls());
  }

  private ProcessBuilder builder(Map<String, String> variables, String... command) {
    var builder = new ProcessBuilder(command).directory(directory.toFile());
    builder.environment().clear();
    builder.environment().put("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    builder.environment().putAll(variables);
    return builder
        .redirectOutput(directory.resolve("stdout").toFile())
        .redirectError(directory.resolve("stderr").toFile());
  }

  /** Waits for the end of a process that was started here. */
  RunOutput await(Process process) throws Exception {
    try {
      assertTrue(process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS), "the launcher does not end");
      return new RunOutput(
          process.exitValue(),
          Files.readString(directory.resolve("stdout")),
          Files.readString(directory.resolve("stderr")));
    } finally {
      process.destroyForcibly();
    }
  }
}
