package cni.daemon;

import cni.api.CniException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** A host in this process, for callers of an image that has only the file by which it is known. */
final class TestImage implements AutoCloseable {
  static final Duration TIMEOUT = Duration.ofSeconds(10);

  final Path image;
  final Path socket;
  final HostServer server;
  private final Thread thread;

  TestImage(Path directory, int maxRunning, Duration drainTime, RequestHandler handler)
      throws Exception {
    image = directory.resolve("image");
    socket = directory.resolve("cni.sock");
    Files.createDirectories(image.resolve("lib"));
    if (Files.notExists(image.resolve("lib/modules"))) {
      Files.writeString(image.resolve("lib/modules"), "modules");
    }
    var settings =
        new HostSettings(socket, OptionalInt.empty(), image, "test", maxRunning, drainTime);
    server = HostServer.open(settings, handler);
    thread = Thread.ofPlatform().start(this::run);
  }

  private void run() {
    try {
      server.run(Optional.empty(), () -> {});
    } catch (CniException e) {
      throw new IllegalStateException(e);
    }
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
  }
}
