// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * The settings that interfaces had before they were tuned, in the reference plugin's format: a file
 * {@code <dataDir>/<containerID>_<ifname>.json} with those of the keys mac, promisc, mtu, allmulti
 * and txQLen that were changed. This plugin adds the network and the attachment, for GC, and an
 * object {@code sysctl} with the values of sysctls by their paths, for updates; the reference
 * plugin ignores these keys.
 *
 * @param directory the dataDir
 */
record SavedLinkSettings(Path directory) {
  private static final String NETWORK_KEY = "network";
  private static final String CONTAINER_KEY = "containerId";
  private static final String INTERFACE_KEY = "ifName";

  /** The values of sysctls before they were set. */
  static final String SYSCTL_KEY = "sysctl";

  private static final Set<String> OWN_KEYS = Set.of(NETWORK_KEY, CONTAINER_KEY, INTERFACE_KEY);

  /** The names of files that have not been renamed to their final names yet. */
  private static final Pattern TEMP_NAME = Pattern.compile("\\.[0-9a-f]{16}");

  private static final Duration MAX_WRITE_TIME = Duration.ofMinutes(1);
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  /**
   * Saves the settings of an attachment's interface in place of any saved before.
   *
   * @throws CniException code 5 if the file cannot be written
   */
  void save(String network, AttachmentId id, ObjectNode settings) throws CniException {
    ObjectNode json = settings.deepCopy();
    json.put(NETWORK_KEY, network);
    json.put(CONTAINER_KEY, id.containerId());
    json.put(INTERFACE_KEY, id.interfaceName());
    try {
      AtomicFiles.createDirectories(directory);
      byte[] bytes = Json.pretty(json).getBytes(StandardCharsets.UTF_8);
      AtomicFiles.write(file(id), newTemporaryFile(), bytes);
    } catch (IOException e) {
      throw failure(
          "the settings of " + id.interfaceName() + " cannot be saved in " + directory, e);
    }
  }

  /** Returns whether there is nothing to restore. */
  static boolean isEmpty(ObjectNode settings) {
    return OWN_KEYS.containsAll(settings.propertyNames());
  }

  /** Adds the value that a sysctl had, unless there is one already. */
  static void addSysctl(ObjectNode settings, String path, String value) {
    ObjectNode values =
        settings.get(SYSCTL_KEY) instanceof ObjectNode present
            ? present
            : settings.putObject(SYSCTL_KEY);
    values.putIfAbsent(path, StringNode.valueOf(value));
  }

  /** Removes the value of a sysctl. */
  static void removeSysctl(ObjectNode settings, String path) {
    if (settings.get(SYSCTL_KEY) instanceof ObjectNode values) {
      values.remove(path);
      if (values.isEmpty()) {
        settings.remove(SYSCTL_KEY);
      }
    }
  }

  private Path newTemporaryFile() {
    return directory.resolve(".%016x".formatted(ThreadLocalRandom.current().nextLong()));
  }

  /**
   * Requires that settings could be saved, by writing a file and deleting it.
   *
   * @throws CniException code 50 if that fails, such as on a full or read-only file system
   */
  void requireWritable() throws CniException {
    try {
      AtomicFiles.requireWritable(newTemporaryFile());
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "dataDir %s, for the settings that interfaces had before, cannot be written to: %s"
              .formatted(directory, IoErrors.describe(e)),
          e);
    }
  }

  /**
   * Returns the saved settings; absent if there is no file, or one that is not valid JSON.
   *
   * @throws CniException code 5 if the file exists and cannot be read
   */
  Optional<ConfigObject> load(AttachmentId id) throws CniException {
    return load(file(id));
  }

  private static Optional<ConfigObject> load(Path file) throws CniException {
    try {
      return parse(RegularFiles.readState(file), file);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw failure("the previous settings cannot be read", e);
    }
  }

  private static Optional<ConfigObject> parse(byte[] bytes, Path file) {
    try {
      return Optional.of(new ConfigObject(Json.parse(bytes, file.toString()), file.toString()));
    } catch (CniException e) {
      return Optional.empty(); // incomplete: the reference plugin does not write atomically
    }
  }

  /**
   * Deletes the saved settings of an attachment, if there are any.
   *
   * @throws CniException code 5 if the file cannot be deleted
   */
  void delete(AttachmentId id) throws CniException {
    delete(file(id));
  }

  private static void delete(Path file) throws CniException {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw failure(file + " cannot be deleted", e);
    }
  }

  /**
   * Deletes the saved settings of the network's attachments that are not valid, incomplete files,
   * which restore nothing, and temporary files of processes that have ended. Complete files of the
   * reference plugin name no network; they may be another network's and stay.
   *
   * @throws CniException code 5 if the directory cannot be read or a file cannot be deleted
   */
  void deleteStale(String network, Set<AttachmentId> valid) throws CniException {
    Set<Path> validFiles = valid.stream().map(this::file).collect(Collectors.toUnmodifiableSet());
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        if (!validFiles.contains(file) && isStale(file, network)) {
          delete(file);
        }
      }
    } catch (NoSuchFileException e) {
      return; // nothing has been saved yet
    } catch (IOException | DirectoryIteratorException e) {
      throw failure(directory + " cannot be read", e);
    }
  }

  /** Returns whether a file without a valid attachment is of the network, or of none. */
  private static boolean isStale(Path file, String network) throws IOException {
    String name = String.valueOf(file.getFileName());
    if (TEMP_NAME.matcher(name).matches()) {
      return isAbandoned(file);
    }
    if (!name.endsWith(".json")) {
      return false;
    }
    byte[] bytes;
    try {
      bytes = RegularFiles.readState(file);
    } catch (NoSuchFileException e) {
      return false; // deleted meanwhile
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.WARNING, "left alone: " + IoErrors.describe(e));
      return false;
    }
    Optional<ConfigObject> saved = parse(bytes, file);
    return saved.isPresent()
        ? saved.get().json().path(NETWORK_KEY).asString("").equals(network)
        : isAbandoned(file);
  }

  /** Whether a file was written so long ago that its writer must have ended. */
  private static boolean isAbandoned(Path file) throws IOException {
    try {
      Instant written = Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS).toInstant();
      return written.isBefore(Instant.now().minus(MAX_WRITE_TIME));
    } catch (NoSuchFileException e) {
      return false; // renamed or deleted meanwhile
    }
  }

  private Path file(AttachmentId id) {
    return directory.resolve(id.containerId() + "_" + id.interfaceName() + ".json");
  }

  private static CniException failure(String what, Exception e) {
    return new CniException(ErrorCode.IO_FAILURE, what + ": " + IoErrors.describe(e), e);
  }
}
