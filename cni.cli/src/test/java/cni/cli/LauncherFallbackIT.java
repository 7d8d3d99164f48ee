// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.cli.FakeHost.Reply;
import cni.cli.FakeImage.RunOutput;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The native launcher executes the image if no host accepts the request. */
class LauncherFallbackIT {
  @TempDir private Path directory;
  private FakeImage image;

  @BeforeEach
  void create() throws IOException {
    image = FakeImage.create(directory);
  }

  /** Replies which do not accept the request. */
  static Stream<Named<Reply>> refusals() {
    return Stream.of(
        Named.of("refused", connection -> connection.frame(FakeHost.REFUSED, "another image")),
        Named.of("closed", connection -> {}),
        Named.of(
            "garbage",
            connection ->
                connection.write("HTTP/1.1 400 Bad Request".getBytes(StandardCharsets.UTF_8))),
        Named.of(
            "output before acceptance",
            connection -> connection.frame(FakeHost.OUT, FakeHost.ANSWER)),
        Named.of(
            "acceptance with payload", connection -> connection.frame(FakeHost.ACCEPTED, "text")),
        Named.of("half an acceptance", connection -> connection.write(new byte[] {1, 0, 0, 0})));
  }

  @ParameterizedTest
  @MethodSource("refusals")
  void imageServesWhatTheHostDoesNotAccept(Reply refusal) throws Exception {
    try (FakeHost host = FakeHost.serve(image.socket(), refusal)) {
      image.assertImageAnswered("bridge", image.add(FakeImage.CONFIG));
      assertEquals("done", host.awaitOutcome());
    }
    assertEquals(FakeImage.CONFIG, image.input());
  }

  @Test
  void connectionMayEndBeforeTheRequestIsRead() throws Exception {
    try (FakeHost host = FakeHost.connect(image.socket(), connection -> {})) {
      image.assertImageAnswered("bridge", image.add(FakeImage.LARGE));
      assertEquals("done", host.awaitOutcome());
    }
    assertTrue(image.input().equals(FakeImage.LARGE));
  }

  @Test
  void argumentsOfTheCommandReachTheImage() throws Exception {
    try (FakeHost host =
        FakeHost.serve(
            image.socket(), connection -> connection.frame(FakeHost.REFUSED, "draining"))) {
      RunOutput output =
          image.run(image.variables(), "", image.launcher().toString(), "add", "my net", "", "*");
      image.assertImageAnswered("cni add my net  *", output);
      assertEquals("done", host.awaitOutcome());
    }
  }

  /** The image has a lower limit, and reports that. */
  @Test
  void inputAboveTheLimitIsNotSent() throws Exception {
    String input = "x".repeat(21 << 20);
    try (FakeHost host = FakeHost.connect(image.socket(), FakeHost.Connection::receive)) {
      image.assertImageAnswered("bridge", image.add(input));
      assertInstanceOf(IOException.class, host.awaitOutcome());
    }
    assertTrue(image.input().length() >= 20 << 20 && input.startsWith(image.input()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"missing", "a file", "not listening", "none", "empty", "too long"})
  void imageServesWithoutAHost(String socketState) throws Exception {
    String value = image.socket().toString();
    switch (socketState) {
      case "a file" -> Files.createFile(image.socket());
      case "not listening" -> {
        try (var server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
          server.bind(UnixDomainSocketAddress.of(image.socket()));
        }
      }
      case "none" -> value = "none";
      case "empty" -> value = "";
      case "too long" -> value = directory + "/x".repeat(60);
      default -> {}
    }
    Map<String, String> variables = Map.of("CNI_COMMAND", "DEL", "CNI_HOST_SOCKET", value);
    image.assertImageAnswered(
        "bridge", image.run(variables, FakeImage.CONFIG, image.plugin("bridge").toString()));
    assertEquals(FakeImage.CONFIG, image.input());
  }

  @Test
  void imageServesIfTheHostIsSilent() throws Exception {
    Reply reply =
        connection -> {
          connection.awaitEnd();
          connection.succeed();
        };
    try (FakeHost host = FakeHost.serve(image.socket(), reply)) {
      image.assertImageAnswered("bridge", image.add(FakeImage.CONFIG));
      // The host learns from EPIPE that its acceptance was not received.
      assertInstanceOf(IOException.class, host.awaitOutcome());
    }
    assertEquals(FakeImage.CONFIG, image.input());
  }

  @Test
  void launcherAnswersWithoutTheScript() throws Exception {
    Files.delete(image.script());
    RunOutput output = image.add(FakeImage.CONFIG);
    assertEquals(1, output.status());
    assertEquals(999, output.json().get("code").intValue());
    assertEquals("0.4.0", output.json().get("cniVersion").asString());
    assertTrue(output.json().get("msg").asString().contains("bin/cni-jvm"), output::out);
    try (FakeHost host =
        FakeHost.serve(
            image.socket(), connection -> connection.frame(FakeHost.REFUSED, "draining"))) {
      assertEquals(output, image.add(FakeImage.CONFIG));
      assertEquals("done", host.awaitOutcome());
    }
  }

  @Test
  void scriptIsInstalledIfThereIsNoCompiler() throws Exception {
    Files.delete(image.launcher());
    String build = Path.of("../build/launcher").toAbsolutePath().toString();
    RunOutput output =
        image.run(Map.of("CC", "/no/such/compiler"), "", build, image.directory().toString());
    assertEquals(0, output.status(), output::err);
    assertTrue(output.err().contains("no C compiler: '/no/such/compiler'"), output::err);
    assertEquals(-1, Files.mismatch(image.launcher(), image.script()));
    assertTrue(Files.isExecutable(image.launcher()));
  }

  @Test
  void realImageReadsTheReplayedInput() throws Exception {
    Path bridge = directory.resolve("bridge");
    Files.createSymbolicLink(bridge, ImageRunner.IMAGE.resolve("bin/cni"));
    Map<String, String> variables = image.variables("CNI_COMMAND", "ADD", "CNI_CONTAINERID", "c");
    variables.put("CNI_PATH", "/no/such/directory");
    variables.putAll(Map.of("CNI_IFNAME", "eth0", "CNI_NETNS", "/proc/self/ns/net"));
    String config = "{ \"cniVersion\": \"9.9.9\", \"name\": \"n\", \"type\": \"bridge\" }";
    try (FakeHost host =
        FakeHost.serve(
            image.socket(), connection -> connection.frame(FakeHost.REFUSED, "draining"))) {
      RunOutput output = image.run(variables, config, bridge.toString());
      assertEquals("done", host.awaitOutcome());
      assertTrue(output.json().get("msg").asString().contains("config is 9.9.9"), output::out);
    }
    Files.delete(bridge);
  }
}
