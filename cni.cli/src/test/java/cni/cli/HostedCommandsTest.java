// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Json;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What reaches a caller in another process before a command changes anything. */
class HostedCommandsTest {
  private static final String LOOPBACK =
      "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"loopback\"}]}";

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final Map<String, String> environment = new HashMap<>();

  @TempDir private Path directory;

  private Invocation invocation() {
    return invocation(directory);
  }

  private Invocation invocation(Path workingDirectory) {
    return new Invocation(
        environment,
        workingDirectory,
        new PrintStream(out, true, UTF_8),
        new PrintStream(err, true, UTF_8),
        Optional.empty(),
        builder -> builder.oneShot().build());
  }

  private int run(String... arguments) {
    return HostedCommands.run(List.of(arguments), invocation());
  }

  @ParameterizedTest
  @ValueSource(strings = {"add", "check", "del", "update", "repair", "gc", "status"})
  void helpGoesToTheCaller(String command) {
    assertEquals(0, run(command, "--help"));
    assertTrue(out.toString(UTF_8).startsWith("Usage: cni " + command + " "), out::toString);
    assertTrue(out.toString(UTF_8).contains("CNI_HOST_SOCKET=none"), out::toString);
    assertEquals("", err.toString(UTF_8));
  }

  @Test
  void wrongUsageGoesToTheCaller() {
    assertEquals(2, run("add", "n", "a", "--bogus", "é"));
    String message = err.toString(UTF_8);
    assertEquals("cni: cni add has no option --bogus\nSee \"cni add --help\".\n", message);
    assertFalse(message.contains("\u001b"), message);
    assertEquals("", out.toString(UTF_8));
  }

  @Test
  void failureIsPrintedAsTextAndJson() throws Exception {
    assertEquals(1, run("status", "--cache=cache", "--networks", "no", "n"));
    assertTrue(err.toString(UTF_8).startsWith("cni: "), err::toString);
    assertTrue(err.toString(UTF_8).contains(directory.resolve("no").toString()), err::toString);
    assertEquals(7, Json.parse(out.toString(UTF_8), "output").path("code").asInt());
  }

  @Test
  void relativePathsAreThoseOfTheCaller() throws Exception {
    Files.createDirectory(directory.resolve("net.d"));
    Files.writeString(directory.resolve("net.d/n.conflist"), LOOPBACK);
    assertEquals(0, run("status", "--cache=cache", "--networks", "net.d", "n"), err::toString);
    environment.put("NETCONFPATH", "./net.d");
    assertEquals(0, run("status", "--cache=cache", "n"), err::toString);
    String cache = "--cache=" + directory.resolve("cache");
    assertEquals(1, HostedCommands.run(List.of("status", cache, "n"), invocation(Path.of("/"))));
  }

  @Test
  void variablesAreThoseOfTheCaller() throws Exception {
    Files.writeString(directory.resolve("n.conflist"), LOOPBACK.replace("loopback", "absent"));
    environment.put("NETCONFPATH", directory.toString());
    environment.put("CNI_PATH", "bin:/other/bin");
    environment.put("CNI_MODULE_PATH", "modules");
    environment.put("CNI_PLUGIN_ORDER", "executable,directory");
    assertEquals(1, run("status", "--cache=cache", "n"));
    String searched =
        "no executable of that name in %1$s/bin:/other/bin; there is no module for it in %1$s/modules"
            .formatted(directory);
    assertTrue(err.toString(UTF_8).contains(searched), err::toString);
  }

  @Test
  void invalidVariablesAreReported() {
    environment.put("NETCONFPATH", "\0");
    assertEquals(1, run("status", "--cache=cache", "n"));
    assertTrue(err.toString(UTF_8).contains("InvalidPathException"), err::toString);
  }

  @Test
  void outputThatIsLostIsAFailure() {
    var closed =
        new PrintStream(out) {
          @Override
          public boolean checkError() {
            return true;
          }
        };
    Invocation it = invocation();
    var lost =
        new Invocation(
            it.environment(), it.directory(), closed, it.err(), it.namespace(), it.opener());
    assertEquals(1, HostedCommands.run(List.of("gc", "--help"), lost));
    assertTrue(err.toString(UTF_8).contains("standard output cannot be written"), err::toString);
  }

  @ParameterizedTest
  @CsvSource({
    "run -- true, only add",
    "install --dir d, only add",
    "--help, only add",
    "add n /proc/self/ns/net, /proc/self",
    "add n proc/thread-self/ns/net, /proc/self",
    "add --cache=/dev/fd/3 n a, /proc/self",
    "add @arguments, file of arguments"
  })
  void whatNeedsItsOwnProcessIsRefused(String line, String why) {
    List<String> arguments = List.of(line.split(" ", -1));
    assertTrue(HostedCommands.objection(arguments, invocation()).orElseThrow().contains(why));
    assertThrows(IllegalArgumentException.class, () -> HostedCommands.run(arguments, invocation()));
    assertEquals("", out.toString(UTF_8) + err.toString(UTF_8));
  }

  @Test
  void callersBelowProcAreRefused() {
    List<String> arguments = List.of("del", "n", "self/ns/net");
    assertTrue(HostedCommands.objection(arguments, invocation()).isEmpty());
    assertTrue(HostedCommands.objection(arguments, invocation(Path.of("/proc"))).isPresent());
    environment.put("NETCONFPATH", "/proc/self/cwd");
    assertTrue(HostedCommands.objection(List.of("status", "n"), invocation()).isPresent());
  }

  @Test
  void noCommandIsRefused() {
    assertTrue(HostedCommands.objection(List.of(), invocation()).isPresent());
  }
}
