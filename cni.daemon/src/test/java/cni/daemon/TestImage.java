// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/** A host in this process, for callers of an image that has only the file by which it is known. */
final class TestImage implements AutoCloseable {
  static final Duration TIMEOUT = Duration.ofSeconds(10);

  final Path image;
  final Path socket;
  final HostServer server;
  private final Thread thread;
  private volatile @Nullable CniException failure;

  TestImage(Path directory, int maxRunning, Duration drainTime, RequestHandler handler)
      throws Exception {
    this(directory, OptionalInt.empty(), maxRunning, drainTime, handler);
  }

  TestImage(
      Path directory,
      OptionalInt passedSocket,
      int maxRunning,
      Duration drainTime,
      RequestHandler handler)
      throws Exception {
    image = directory.resolve("image");
    socket = directory.resolve("cni.sock");
    Files.createDirectories(image.resolve("lib"));
    if (Files.notExists(image.resolve("lib/modules"))) {
      Files.writeString(image.resolve("lib/modules"), "modules");
    }
    var settings = new HostSettings(socket, passedSocket, image, "1.0", maxRunning, drainTime);
    server = HostServer.open(settings, handler);
    thread = Thread.ofPlatform().start(this::run);
  }

  private void run() {
    try {
      server.run(Optional.empty(), () -> {});
    } catch (CniException e) {
      failure = e;
    }
  }

  /** Waits until the host has ended by itself. */
  CniException awaitFailure() throws InterruptedException {
    assertTrue(thread.join(TIMEOUT), "the host does not end");
    return Objects.requireNonNull(failure);
  }

  HostClient.Reply call(Map<String, String> environment, String... arguments) throws IOException {
    return HostClient.call(
        socket,
        image,
        List.of(arguments),
        environment,
        "input".getBytes(StandardCharsets.UTF_8),
        TIMEOUT);
  }

  @Override
  public void close() throws IOException {
    server.stop();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    server.close();
    assertNull(failure);
  }

  /** A handler that prints what it has got. */
  static int echo(CallerRequest request, PrintStream out, PrintStream err) {
    out.print(request.name() + " " + request.variable("CNI_COMMAND"));
    out.print(" " + input(request));
    err.print(request.directory());
    return 7;
  }

  static String input(CallerRequest request) {
    try {
      return new String(request.input().readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
