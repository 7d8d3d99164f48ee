package cni.plugins.meta.tuning;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import tools.jackson.databind.node.ObjectNode;

/**
 * The properties that interfaces had before they were tuned, in the reference plugin's form: a file
 * {@code <dataDir>/<containerID>_<ifname>.json} with the keys mac, promisc, mtu, allmulti and
 * txQLen, those that were changed. What is added to it, so that garbage can be told, is the
 * network.
 *
 * @param directory the dataDir
 */
record SavedLinkSettings(Path directory) {
  private static final String NETWORK_KEY = "network";
  private static final String CONTAINER_KEY = "containerId";
  private static final String INTERFACE_KEY = "ifName";

  /**
   * Keeps the properties; they replace what was kept before.
   *
   * @throws CniException code 5 if that fails
   */
  void save(String network, AttachmentId id, ObjectNode properties) throws CniException {
    ObjectNode json = properties.deepCopy();
    json.put(NETWORK_KEY, network);
    json.put(CONTAINER_KEY, id.containerId());
    json.put(INTERFACE_KEY, id.interfaceName());
    String unfinished = ".%016x".formatted(ThreadLocalRandom.current().nextLong());
    try {
      AtomicFiles.createDirectories(directory);
      byte[] bytes = Json.pretty(json).getBytes(StandardCharsets.UTF_8);
      AtomicFiles.write(file(id), directory.resolve(unfinished), bytes);
    } catch (IOException e) {
      throw failure("the properties of " + id.interfaceName() + " cannot be kept", e);
    }
  }

  /**
   * What was kept; absent if nothing was, or nothing that can be read.
   *
   * @throws CniException code 5 if the file is there and cannot be read
   */
  Optional<ConfigObject> load(AttachmentId id) throws CniException {
    return load(file(id));
  }

  private static Optional<ConfigObject> load(Path file) throws CniException {
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw failure("what was kept cannot be read", e);
    }
    try {
      return Optional.of(new ConfigObject(Json.parse(bytes, file.toString()), file.toString()));
    } catch (CniException e) {
      return Optional.empty(); // not written to its end
    }
  }

  /**
   * Forgets what was kept, if anything was.
   *
   * @throws CniException code 5 if the file cannot be removed
   */
  void delete(AttachmentId id) throws CniException {
    delete(file(id));
  }

  private static void delete(Path file) throws CniException {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw failure("what was kept cannot be removed", e);
    }
  }

  /**
   * Forgets what was kept for attachments of a network that do not exist any more. Files that do
   * not name a network, as the reference plugin's, may be another network's and stay.
   *
   * @throws CniException code 5 if the directory or a file cannot be read or removed
   */
  void deleteStale(String network, Set<AttachmentId> valid) throws CniException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "*.json")) {
      for (Path file : files) {
        Optional<ConfigObject> kept = load(file);
        if (kept.isPresent() && isStale(kept.get().json(), network, valid)) {
          delete(file);
        }
      }
    } catch (NoSuchFileException e) {
      return; // nothing has ever been kept
    } catch (IOException | DirectoryIteratorException e) {
      throw failure(directory + " cannot be read", e);
    }
  }

  private static boolean isStale(ObjectNode kept, String network, Set<AttachmentId> valid) {
    var id =
        new AttachmentId(
            kept.path(CONTAINER_KEY).asString(""), kept.path(INTERFACE_KEY).asString(""));
    return kept.path(NETWORK_KEY).asString("").equals(network) && !valid.contains(id);
  }

  private Path file(AttachmentId id) {
    return directory.resolve(id.containerId() + "_" + id.interfaceName() + ".json");
  }

  private static CniException failure(String what, Exception e) {
    return new CniException(ErrorCode.IO_FAILURE, what + ": " + IoErrors.describe(e), e);
  }
}
