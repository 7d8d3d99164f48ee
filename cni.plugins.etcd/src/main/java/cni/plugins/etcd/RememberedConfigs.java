// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.api.PluginHost;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * The configurations that a resident host has used, so that its successor renews this node's leases
 * before the first call: a file {@code <network>.conf} each, of mode 0600, as it may contain a
 * password.
 */
final class RememberedConfigs {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private static final String SUFFIX = ".conf";

  private final Path directory;

  RememberedConfigs(PluginHost host) {
    directory = host.stateDirectory().resolve(StoreConfig.TYPE);
  }

  /** Returns the configurations; those that cannot be read are logged. */
  List<PluginConfig> read() {
    List<PluginConfig> configs = new ArrayList<>();
    if (!Files.isDirectory(directory)) {
      return configs;
    }
    SharedFiles.deleteLeftovers(directory);
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "[!.]*" + SUFFIX)) {
      for (Path file : files) {
        try {
          ObjectNode json = Json.parse(RegularFiles.readState(file), file.toString());
          configs.add(PluginConfig.of(new ConfigObject(json, "")));
        } catch (IOException | CniException e) {
          LOG.get().log(System.Logger.Level.WARNING, "{0} is ignored: {1}", file, e.getMessage());
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      LOG.get().log(System.Logger.Level.WARNING, "{0} cannot be read: {1}", directory, e);
    }
    return configs;
  }

  /** Stores a configuration, unless it is stored already. A failure is logged. */
  void write(PluginConfig config) {
    try {
      ObjectNode json = Json.object();
      for (String key : List.of("cniVersion", "name", "type", "ipam")) {
        if (config.json().get(key) != null) {
          json.set(key, config.json().get(key));
        }
      }
      byte[] content = Json.bytes(json);
      Path file = directory.resolve(config.network() + SUFFIX);
      if (!Files.exists(file) || !Arrays.equals(RegularFiles.readState(file), content)) {
        SharedFiles.write(file, content);
      }
    } catch (IOException | CniException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "after a restart, the host will renew its lease in etcd only at its first call: {0}",
              e instanceof IOException io ? IoErrors.reason(io) : e.getMessage());
    }
  }
}
