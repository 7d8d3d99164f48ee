// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Json;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/**
 * What the files of a configuration directory use already: names of networks, bridges, subnets and
 * file numbers. Files that cannot be read are left out; values that are no subnets, too.
 */
final class ConfiguredNetworks {
  private static final int FIRST_NUMBER = 10;
  private static final int LAST_NUMBER = 99;

  private final Map<String, Path> files = new HashMap<>();
  private final Set<String> bridges = new HashSet<>();
  private final List<Cidr> subnets = new ArrayList<>();
  private int highestNumber;

  private ConfiguredNetworks() {}

  /**
   * Reads the files of a directory, which need not exist.
   *
   * @throws IOException if it exists and cannot be read
   */
  static ConfiguredNetworks read(Path directory) throws IOException {
    var found = new ConfiguredNetworks();
    if (Files.isDirectory(directory)) {
      try (DirectoryStream<Path> files =
          Files.newDirectoryStream(directory, "*.{conflist,conf,json}")) {
        for (Path file : files) {
          found.add(file);
        }
      }
    }
    return found;
  }

  private void add(Path file) {
    String name = String.valueOf(file.getFileName());
    int digits = 0;
    while (digits < name.length() && digits < 2 && Character.isDigit(name.charAt(digits))) {
      digits++;
    }
    if (digits > 0) {
      highestNumber = Math.max(highestNumber, Integer.parseInt(name.substring(0, digits)));
    }
    try {
      JsonNode json = Json.parse(RegularFiles.read(file), file.toString());
      json.path("name").stringValueOpt().ifPresent(it -> files.putIfAbsent(it, file));
      collect(json);
    } catch (IOException | CniException e) {
      return; // "cni validate" explains why
    }
  }

  private void collect(JsonNode json) {
    for (Map.Entry<String, JsonNode> it : json.properties()) {
      if (it.getKey().equals("subnet") && it.getValue().isString()) {
        subnet(it.getValue().stringValue()).ifPresent(subnets::add);
      } else if (it.getKey().equals("bridge") && it.getValue().isString()) {
        bridges.add(it.getValue().stringValue());
      }
      collect(it.getValue());
    }
    if (json.isArray()) {
      json.forEach(this::collect);
    }
  }

  private static Optional<Cidr> subnet(String text) {
    try {
      return Optional.of(Cidr.parse(text));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /** Returns the file that defines a network. */
  Optional<Path> file(String network) {
    return Optional.ofNullable(files.get(network));
  }

  /** Returns whether no file defines a network. */
  boolean isEmpty() {
    return files.isEmpty();
  }

  /** Returns the names of the bridges. */
  Set<String> bridges() {
    return bridges;
  }

  /** Returns the subnets. */
  List<Cidr> subnets() {
    return subnets;
  }

  /**
   * Returns the number for the name of a new file, 10 to 99. The file sorts behind the others:
   * containerd and CRI-O use the first network of the directory.
   */
  int nextNumber() {
    int next = (highestNumber / FIRST_NUMBER + 1) * FIRST_NUMBER;
    return Math.min(Math.max(next, FIRST_NUMBER), LAST_NUMBER);
  }
}
