// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/**
 * Records which keys of a configuration are read. The keys that a plugin knows are thereby those
 * that its own code reads, and need not be listed anywhere else. Keys can be hidden from readers,
 * to read on after an error. For one thread.
 */
public final class ConfigRecorder {
  private final Map<String, Set<String>> reads = new HashMap<>();
  private final Set<String> readWhole = new HashSet<>();
  private final Set<String> hidden = new HashSet<>();
  private final List<ConfigFault> warnings = new ArrayList<>();

  /** Creates a recorder that has recorded nothing and hides nothing. */
  public ConfigRecorder() {}

  /**
   * Returns a view whose reads are recorded, as are those of the objects inside.
   *
   * @param path the object's path in the configuration
   */
  public ConfigObject view(ObjectNode json, String path) {
    return new RecordingConfigObject(json, path, this);
  }

  /** Returns the keys that were read from the object with a path, in the order of the reads. */
  public Set<String> reads(String path) {
    requireNonNull(path, "path");
    return reads.getOrDefault(path, Set.of());
  }

  /** Returns whether all of the object was read, without regard to the names of its keys. */
  public boolean isReadWhole(String path) {
    requireNonNull(path, "path");
    return readWhole.contains(path);
  }

  /** Returns what the readers reported as accepted but probably wrong. */
  public List<ConfigFault> warnings() {
    return List.copyOf(warnings);
  }

  /**
   * Hides the value with a path, a key's or a list element's, from further reads.
   *
   * @return whether it was not hidden before
   */
  public boolean hide(String path) {
    requireNonNull(path, "path");
    return hidden.add(path);
  }

  /** Returns whether the value with a path is hidden by itself. */
  public boolean isHidden(String path) {
    requireNonNull(path, "path");
    return hidden.contains(path);
  }

  /** As {@link #isHidden}, whatever the case of the letters: keys are read in any. */
  public boolean isHiddenIgnoringCase(String path) {
    requireNonNull(path, "path");
    return hidden.stream().anyMatch(path::equalsIgnoreCase);
  }

  /** Returns whether a value inside the one with a path is hidden. */
  public boolean hidesInside(String path) {
    requireNonNull(path, "path");
    return hidden.stream().anyMatch(it -> it.startsWith(path + ".") || it.startsWith(path + "["));
  }

  void record(String path, String key) {
    reads.computeIfAbsent(path, _ -> new LinkedHashSet<>()).add(key);
  }

  void recordAll(String path) {
    readWhole.add(path);
  }

  void warn(ConfigFault warning) {
    if (!warnings.contains(warning)) {
      warnings.add(warning);
    }
  }
}
