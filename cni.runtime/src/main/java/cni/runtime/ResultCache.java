package cni.runtime;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.Result;
import cni.api.ResultJson;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The results of attachments, kept at libcni's place in libcni's form: {@code
 * <directory>/results/<network>-<containerID>-<ifname>}, kind {@code cniCacheV1}. A file appears
 * whole or not at all.
 */
final class ResultCache {
  private static final String KIND = "cniCacheV1";

  private static final Set<StandardOpenOption> CREATE =
      Set.of(StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW);

  private final Path directory;

  ResultCache(Path directory) {
    this.directory = directory.resolve("results");
  }

  /**
   * Keeps a result.
   *
   * @throws CniException code 5 if it cannot be written
   */
  void put(NetworkConfig network, Attachment attachment, Result result) throws CniException {
    ObjectNode json = Json.object();
    json.put("kind", KIND);
    json.put("containerId", attachment.containerId());
    json.put("config", Json.bytes(network.json())); // Jackson writes bytes as base64, as Go does
    json.put("ifName", attachment.interfaceName());
    json.put("networkName", network.name());
    attachment.namespace().ifPresent(path -> json.put("netns", path.toString()));
    if (!attachment.args().isEmpty()) {
      ArrayNode args = json.putArray("cniArgs");
      attachment.args().forEach((key, value) -> args.addArray().add(key).add(value));
    }
    if (!attachment.capabilityArgs().isEmpty()) {
      json.putObject("capabilityArgs").setAll(attachment.capabilityArgs());
    }
    json.set("result", ResultJson.write(result, network.version()));
    Path file = file(network, attachment);
    try {
      write(file, Json.bytes(json));
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "the result cannot be kept in " + file + ": " + e, e);
    }
  }

  private void write(Path file, byte[] bytes) throws IOException {
    var directoryMode = PosixFilePermissions.fromString("rwx------");
    var fileMode = PosixFilePermissions.fromString("rw-------");
    Files.createDirectories(directory, PosixFilePermissions.asFileAttribute(directoryMode));
    // No network's or container's name begins with a dot, so nobody takes it for a result.
    Path unnamed = directory.resolve(".%016x".formatted(ThreadLocalRandom.current().nextLong()));
    try {
      try (SeekableByteChannel channel =
          Files.newByteChannel(unnamed, CREATE, PosixFilePermissions.asFileAttribute(fileMode))) {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        while (buffer.hasRemaining()) {
          channel.write(buffer);
        }
      }
      Files.move(
          unnamed, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      Files.deleteIfExists(unnamed);
      throw e;
    }
  }

  /** Whether there is a result, readable or not. */
  boolean has(NetworkConfig network, Attachment attachment) {
    return Files.exists(file(network, attachment));
  }

  /**
   * The result that was kept; absent if there is none.
   *
   * @throws CniException code 5 or 6 if it cannot be read or is not a result
   */
  Optional<Result> get(NetworkConfig network, Attachment attachment) throws CniException {
    Path file = file(network, attachment);
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "the result kept in " + file + " cannot be read: " + e, e);
    }
    ObjectNode json = Json.parse(bytes, "the result kept in " + file);
    if (json.path("kind").asString("").equals(KIND)) {
      if (!(json.get("result") instanceof ObjectNode result)) {
        throw new CniException(ErrorCode.DECODING_FAILURE, file + " has no \"result\" object");
      }
      return Optional.of(ResultJson.read(result, network.version()));
    }
    return Optional.of(ResultJson.read(json, network.version())); // libcni before 0.8: bare
  }

  /**
   * Forgets a result, if there is one.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void remove(NetworkConfig network, Attachment attachment) throws CniException {
    Path file = file(network, attachment);
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new CniException(ErrorCode.IO_FAILURE, file + " cannot be removed: " + e, e);
    }
  }

  /** The parts have been checked: none holds a separator. */
  private Path file(NetworkConfig network, Attachment attachment) {
    return directory.resolve(
        network.name() + "-" + attachment.containerId() + "-" + attachment.interfaceName());
  }
}
