// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * The plugins that are configured in the directory of a network, in the order of ADD.
 *
 * @param files the file of each plugin
 * @param texts the text of each file
 * @param plugins the configuration of each plugin
 */
record AdditionalPlugins(List<Path> files, List<byte[]> texts, List<ObjectNode> plugins) {
  static final AdditionalPlugins NONE = new AdditionalPlugins(List.of(), List.of(), List.of());

  /** Reads the files of a directory, if it exists. Those that cannot be read are reported. */
  static AdditionalPlugins read(Path directory, ConfigFindings findings) {
    var all = new AdditionalPlugins(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    if (!Files.isDirectory(directory)) {
      return NONE;
    }
    try {
      for (Path file : NetworkConfigDirectory.additionalFiles(directory)) {
        all.add(file, findings);
      }
    } catch (CniException e) {
      findings.error(ConfigFindings.WHOLE, "", e.getMessage());
    }
    return all;
  }

  private void add(Path file, ConfigFindings findings) {
    try {
      byte[] text = NetworkConfigDirectory.bytes(file);
      plugins.add(Json.parse(text, file.toString()));
      files.add(file);
      texts.add(text);
    } catch (CniException e) {
      findings.error(
          ConfigFindings.WHOLE, "", "has a plugin that cannot be read: " + e.getMessage());
    }
  }
}
