// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.cli.FakeHost.FileIdentity;
import cni.cli.FakeHost.Reply;
import cni.cli.FakeHost.Request;
import cni.cli.FakeImage.RunOutput;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests of the native launcher, and replies of a host that has accepted one. */
class NativeLauncherIT {
  @TempDir private Path directory;
  private FakeImage image;

  @BeforeEach
  void create() throws IOException {
    image = FakeImage.create(directory);
  }

  private static FileIdentity identity(Path file) throws IOException {
    return new FileIdentity(
        (Long) Files.getAttribute(file, "unix:dev"), (Long) Files.getAttribute(file, "unix:ino"));
  }

  @Test
  void requestDescribesImageNamespacesAndCaller() throws Exception {
    Files.setLastModifiedTime(
        image.modules(), FileTime.from(1_234_567_890_123_456_789L, TimeUnit.NANOSECONDS));
    Map<String, String> variables =
        image.variables("CNI_COMMAND", "ADD", "CNI_NETNS", "/proc/self/ns/net");
    variables.putAll(Map.of("EMPTY", "", "X", "a=ü"));
    Request request;
    try (FakeHost host = FakeHost.serve(image.socket(), FakeHost.Connection::succeed)) {
      image.assertHostAnswered(
          image.run(variables, FakeImage.CONFIG, image.plugin("bridge").toString()));
      request = host.awaitRequest();
    }
    assertEquals(identity(image.modules()), request.modules());
    assertEquals(Files.size(image.modules()), request.modulesSize());
    assertEquals(1_234_567_890_123_456_789L, request.modulesNanos());
    assertEquals(identity(Path.of("/proc/self/ns/mnt")), request.mountNamespace());
    assertEquals(identity(Path.of("/proc/self/ns/user")), request.userNamespace());
    assertEquals(1, request.flags());
    assertEquals(image.directory().toRealPath().toString(), request.directory());
    assertEquals(List.of("bridge"), request.arguments());
    assertEquals(FakeImage.CONFIG, request.input());
    for (String variable : List.of("CNI_COMMAND=ADD", "EMPTY=", "X=a=ü")) {
      assertTrue(request.variables().contains(variable), () -> request.variables().toString());
    }
  }

  @ParameterizedTest
  @CsvSource({"ADD,1", "CHECK,1", "DEL,1", "GC,0", "STATUS,0", "VERSION,0"})
  void containersNamespaceIsSentWithItsVerbs(String verb, int expectedFlags) throws Exception {
    String bridge = image.plugin("bridge").toString();
    try (FakeHost host = FakeHost.serve(image.socket(), FakeHost.Connection::succeed)) {
      for (String namespace : List.of("/proc/self/ns/net", "/no/such/namespace", "")) {
        Map<String, String> variables =
            image.variables("CNI_COMMAND", verb, "CNI_NETNS", namespace);
        image.assertHostAnswered(image.run(variables, FakeImage.CONFIG, bridge));
        Request request = host.awaitRequest();
        boolean exists = namespace.startsWith("/proc");
        assertEquals(exists ? expectedFlags : 0, request.flags(), namespace);
        assertEquals(verb.equals("VERSION") ? "" : FakeImage.CONFIG, request.input());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"add net ns", "check net ns", "del n", "update n ns", "repair", "gc", "status"})
  void commandSendsItsArgumentsAndNoInput(String arguments) throws Exception {
    String[] command = (image.launcher() + " " + arguments).split(" ");
    Map<String, String> variables = image.variables("CNI_NETNS", "/proc/self/ns/net");
    Request request;
    try (FakeHost host = FakeHost.serve(image.socket(), FakeHost.Connection::succeed)) {
      image.assertHostAnswered(image.await(image.start(variables, command)));
      request = host.awaitRequest();
    }
    assertEquals(List.of(("cni " + arguments).split(" ")), request.arguments());
    assertEquals(0, request.flags());
    assertEquals("", request.input());
  }

  @Test
  void inputOfVersionIsNotAwaited() throws Exception {
    String bridge = image.plugin("bridge").toString();
    Map<String, String> variables = image.variables("CNI_COMMAND", "VERSION");
    try (FakeHost host = FakeHost.serve(image.socket(), FakeHost.Connection::succeed)) {
      image.assertHostAnswered(image.await(image.start(variables, bridge)));
      assertEquals("done", host.awaitOutcome());
    }
    image.assertImageAnswered("bridge", image.await(image.start(variables, bridge)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "bridge",
        "bridge --help",
        "dhcp daemon",
        "cni",
        "cni --help",
        "cni plugins",
        "cni serve"
      })
  void otherCallsAreNotForTheHost(String call) throws Exception {
    String[] command = call.split(" ");
    Path program = command[0].equals("cni") ? image.launcher() : image.plugin(command[0]);
    command[0] = program.toString();
    Map<String, String> variables = image.variables("CNI_COMMAND", "");
    try (FakeHost host = FakeHost.serve(image.socket(), FakeHost.Connection::succeed)) {
      image.assertImageAnswered(call, image.await(image.start(variables, command)));
      assertTrue(host.isUnused());
    }
  }

  @Test
  void statusAndBothOutputsArePassedOn() throws Exception {
    Reply reply =
        connection -> {
          connection.frame(FakeHost.ACCEPTED);
          connection.frame(FakeHost.ERR, "first line\n");
          connection.frame(FakeHost.OUT, "{ \"code\":");
          connection.frame(FakeHost.ERR);
          connection.frame(FakeHost.OUT, " 4 }");
          connection.frame(FakeHost.ERR, "second line\n");
          connection.exit(42);
        };
    try (FakeHost host = FakeHost.serve(image.socket(), reply)) {
      RunOutput output = image.add(FakeImage.CONFIG);
      assertEquals(new RunOutput(42, "{ \"code\": 4 }", "first line\nsecond line\n"), output);
      assertEquals("done", host.awaitOutcome());
    }
    assertEquals(List.of(), image.calls());
  }

  @Test
  void replyMayArriveByteByByte() throws Exception {
    Reply reply =
        connection -> {
          for (byte[] frame :
              List.of(
                  FakeHost.frameOf(FakeHost.ACCEPTED),
                  FakeHost.frameOf(FakeHost.OUT, FakeHost.ANSWER.getBytes(StandardCharsets.UTF_8)),
                  FakeHost.frameOf(FakeHost.EXIT, new byte[4]))) {
            for (byte part : frame) {
              connection.write(part);
              Thread.sleep(2);
            }
          }
        };
    try (FakeHost host = FakeHost.serve(image.socket(), reply)) {
      image.assertHostAnswered(image.add(FakeImage.CONFIG));
      assertEquals("done", host.awaitOutcome());
    }
  }

  @Test
  void inputAndOutputMayBeLarge() throws Exception {
    Reply reply =
        connection -> {
          connection.frame(FakeHost.ACCEPTED);
          connection.frame(FakeHost.OUT, FakeImage.LARGE);
          connection.frame(FakeHost.ERR, FakeImage.LARGE);
          connection.exit(0);
        };
    try (FakeHost host = FakeHost.serve(image.socket(), reply)) {
      RunOutput output = image.add(FakeImage.LARGE);
      Request request = host.awaitRequest();
      assertEquals(0, output.status());
      assertTrue(output.out().equals(FakeImage.LARGE) && output.err().equals(FakeImage.LARGE));
      assertTrue(request.input().equals(FakeImage.LARGE));
    }
  }

  @Test
  void acceptanceThatHasArrivedIsValidAfterTheTimeout() throws Exception {
    BlockingQueue<Process> launchers = new LinkedBlockingQueue<>();
    Reply reply =
        connection -> {
          Process launcher = launchers.take();
          signal("STOP", launcher);
          Thread.sleep(2500); // longer than the launcher waits
          connection.succeed();
          signal("CONT", launcher);
        };
    Map<String, String> variables = image.variables("CNI_COMMAND", "VERSION");
    try (FakeHost host = FakeHost.serve(image.socket(), reply)) {
      Process launcher = image.start(variables, image.plugin("bridge").toString());
      launchers.add(launcher);
      image.assertHostAnswered(image.await(launcher));
      assertEquals("done", host.awaitOutcome());
    }
  }

  private static void signal(String name, Process process) throws Exception {
    String command = "kill -%s %d".formatted(name, process.pid());
    assertEquals(0, new ProcessBuilder("sh", "-c", command).start().waitFor());
  }

  /** Replies after which the connection ends, or cannot be understood, without an exit status. */
  static Stream<Named<Reply>> repliesWithoutStatus() {
    return Stream.of(
        Named.of("closed", connection -> {}),
        Named.of("output", connection -> connection.frame(FakeHost.OUT, "{ \"cniVersion\"")),
        Named.of(
            "half a frame",
            connection -> connection.write(new byte[] {3, 0, 0, 0, 8, 0, 0, 0, 'x'})),
        Named.of(
            "oversized frame",
            connection -> connection.write(new byte[] {3, 0, 0, 0, -1, -1, -1, -1})),
        Named.of("unknown frame", connection -> connection.frame(99, "x")),
        Named.of("second acceptance", connection -> connection.frame(FakeHost.ACCEPTED)),
        Named.of("short status", connection -> connection.frame(FakeHost.EXIT, "x")),
        Named.of("large status", connection -> connection.exit(256)));
  }

  @ParameterizedTest
  @MethodSource("repliesWithoutStatus")
  void acceptedRequestIsNeverServedTwice(Reply loss) throws Exception {
    Reply reply =
        connection -> {
          connection.frame(FakeHost.ACCEPTED);
          loss.send(connection);
        };
    try (FakeHost host = FakeHost.serve(image.socket(), reply)) {
      assertReportsLostHost("0.4.0", image.add(FakeImage.CONFIG));
      assertReportsLostHost("1.1.0", image.add("{}"));
      RunOutput command =
          image.run(image.variables(), "", image.launcher().toString(), "add", "net", "ns");
      assertReportsLostHost("1.1.0", command);
      for (int i = 0; i < 3; i++) {
        assertEquals("done", host.awaitOutcome());
      }
    }
    assertEquals(List.of(), image.calls());
  }

  private static void assertReportsLostHost(String version, RunOutput output) throws Exception {
    String message =
        "the resident host ended during this request; DEL or GC removes what it has left";
    String json =
        "{\n    \"cniVersion\": \"%s\",\n    \"code\": 11,\n    \"msg\": \"%s\"\n}\n"
            .formatted(version, message);
    assertEquals(new RunOutput(1, json, "cni: " + message + " (code 11)\n"), output);
  }

  @ParameterizedTest
  @ValueSource(strings = {"KILL", "TERM", "INT"})
  void endOfTheLauncherClosesTheConnection(String signal) throws Exception {
    BlockingQueue<Process> launchers = new LinkedBlockingQueue<>();
    Reply reply =
        connection -> {
          connection.frame(FakeHost.ACCEPTED);
          signal(signal, launchers.take());
          connection.awaitEnd();
        };
    Map<String, String> variables = image.variables("CNI_COMMAND", "VERSION");
    try (FakeHost host = FakeHost.serve(image.socket(), reply)) {
      Process launcher = image.start(variables, image.plugin("bridge").toString());
      launchers.add(launcher);
      assertEquals("done", host.awaitOutcome());
      RunOutput output = image.await(launcher);
      assertTrue(output.status() > 128, () -> "ended by itself: " + output);
      assertEquals("", output.out());
    }
    assertEquals(List.of(), image.calls());
  }

  @ParameterizedTest
  @ValueSource(strings = {">/dev/full", ">&-", "<&- >&- 2>stderr"})
  void unwritableOutputIsAFailure(String redirection) throws Exception {
    String script = image.plugin("bridge") + " " + redirection;
    Map<String, String> variables = image.variables("CNI_COMMAND", "ADD");
    try (FakeHost host = FakeHost.serve(image.socket(), FakeHost.Connection::succeed)) {
      RunOutput output = image.run(variables, FakeImage.CONFIG, "sh", "-c", script);
      assertEquals(
          new RunOutput(1, "", "cni: standard output cannot be written; the answer is lost\n"),
          output);
      assertEquals("done", host.awaitOutcome());
    }
    assertEquals(List.of(), image.calls());
  }

  @ParameterizedTest
  @ValueSource(strings = {"<&-", "2>&-", "<&- 2>&-"})
  void standardStreamsMayBeClosed(String redirection) throws Exception {
    String script = image.plugin("bridge") + " " + redirection;
    Map<String, String> variables = image.variables("CNI_COMMAND", "ADD");
    Reply reply =
        connection -> {
          connection.frame(FakeHost.ACCEPTED);
          connection.frame(FakeHost.ERR, "text");
          connection.frame(FakeHost.OUT, FakeHost.ANSWER);
          connection.exit(0);
        };
    try (FakeHost host = FakeHost.serve(image.socket(), reply)) {
      RunOutput output = image.run(variables, FakeImage.CONFIG, "sh", "-c", script);
      Request request = host.awaitRequest();
      image.assertHostAnswered(output);
      assertEquals(redirection.contains("2>") ? "" : "text", output.err());
      assertEquals(redirection.startsWith("<") ? "" : FakeImage.CONFIG, request.input());
    }
  }
}
