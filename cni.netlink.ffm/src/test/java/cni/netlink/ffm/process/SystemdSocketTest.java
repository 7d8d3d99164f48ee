// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The sockets that systemd passes, in processes that have them. */
class SystemdSocketTest {
  @TempDir Path directory;

  private String socket(String name) {
    return directory.resolve(name).toString();
  }

  @Test
  void severalSocketsAreAssignedByPathAndNotInherited() throws Exception {
    String one = socket("one");
    String two = socket("two");
    String other = socket("other");
    assertEquals(
        List.of(
            "OptionalInt[4]",
            "OptionalInt.empty",
            "serves " + two,
            "serves " + two,
            "none",
            "[descriptor 5 (" + other + ")]",
            "[]",
            "input"),
        SocketActivatedProcess.run(
            List.of(two, one, other),
            List.of(
                "take " + one,
                "take " + one,
                "listener " + two,
                "listener " + two,
                "listener " + socket("three"),
                "untaken",
                "inherited",
                "input")));
  }

  @Test
  void pathsAreComparedByTheFileToo() throws Exception {
    Path run = Files.createDirectory(directory.resolve("run"));
    Files.createSymbolicLink(directory.resolve("var-run"), run);
    assertEquals(
        List.of("OptionalInt[3]", "none"),
        SocketActivatedProcess.run(
            List.of(run.resolve("s").toString()),
            List.of("take " + socket("var-run/s"), "listener " + socket("dhcp"))));
  }

  @Test
  void aProcessWithOneServerGetsTheOnlySocketWhateverItsPath() throws Exception {
    assertEquals(
        List.of("serves " + socket("one"), "serves " + socket("one"), "[]", "[]", "input"),
        SocketActivatedProcess.run(
            List.of(socket("one")),
            List.of(
                "listener " + socket("default"),
                "listener " + socket("default"),
                "untaken",
                "inherited",
                "input")));
  }

  @Test
  void aProcessWithOneServerRejectsSeveralSockets() throws Exception {
    assertEquals(
        List.of("LISTEN_FDS is 2, but the socket unit must have exactly one ListenStream="),
        SocketActivatedProcess.run(
            List.of(socket("one"), socket("two")), List.of("listener " + socket("one"))));
  }

  @Test
  void aDescriptorThatIsNoListenerIsRejectedWhenItIsTaken() throws Exception {
    assertEquals(
        List.of(
            "[descriptor 3]",
            "descriptor 3, which LISTEN_FDS announces, is not a listening stream socket; the socket"
                + " unit must have ListenStream="),
        SocketActivatedProcess.run(List.of("-"), List.of("untaken", "listener " + socket("one"))));
  }

  private static Map<String, String> environment(String count) {
    String pid = String.valueOf(ProcessHandle.current().pid());
    return Map.of("LISTEN_FDS", count, "LISTEN_PID", pid);
  }

  @ParameterizedTest
  @ValueSource(strings = {"two", "-1", "0", "1 ", "2147483647", "99999999999"})
  void invalidNumberOfSocketsIsRejected(String count) {
    IOException e =
        assertThrows(IOException.class, () -> SystemdSocket.announcedBy(environment(count)));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.startsWith("LISTEN_FDS is ") && message.contains(count), message);
  }

  @Test
  void variablesForAnotherProcessAreIgnored() throws Exception {
    assertEquals(Map.of(), SystemdSocket.announcedBy(Map.of()));
    assertEquals(Map.of(), SystemdSocket.announcedBy(Map.of("LISTEN_FDS", "x", "LISTEN_PID", "1")));
  }
}
