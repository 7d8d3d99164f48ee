// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.PluginConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Which plugins of an attachment's chain are those of the desired chain: the n-th of a type is the
 * n-th of that type.
 *
 * @param pairs the desired plugins in their order, each with the current one that it is, if any
 * @param removed the current plugins that the desired chain lacks, in their order
 * @param refusals why the chain cannot change to the desired one; empty if it can
 */
record ChainMatch(List<Pair> pairs, List<PluginConfig> removed, List<String> refusals) {
  /**
   * A plugin of the desired chain.
   *
   * @param current the same plugin in the current chain; absent if that lacks it
   * @param isFirst whether it is the first of the chain, which creates the interface
   */
  record Pair(Optional<PluginConfig> current, PluginConfig desired, boolean isFirst) {}

  /** Matches two chains. */
  static ChainMatch of(List<PluginConfig> current, List<PluginConfig> desired) {
    List<PluginConfig> rest = new ArrayList<>(current);
    List<Pair> pairs = new ArrayList<>();
    List<String> refusals = new ArrayList<>();
    int last = -1;
    for (int i = 0; i < desired.size(); i++) {
      PluginConfig plugin = desired.get(i);
      Optional<PluginConfig> same =
          rest.stream().filter(it -> it.type().equals(plugin.type())).findFirst();
      pairs.add(new Pair(same, plugin, i == 0));
      if (same.isPresent()) {
        int index = indexOf(current, same.get());
        if (index < last) {
          refusals.add("plugin " + plugin.type() + " cannot move to another place in the chain");
        }
        last = Math.max(last, index);
        rest.removeIf(it -> it == same.get());
      }
    }
    if (indexOf(current, pairs.getFirst().current().orElse(null)) != 0) {
      refusals.add(
          "plugin %s creates the interface and cannot be replaced by %s"
              .formatted(current.getFirst().type(), desired.getFirst().type()));
    }
    return new ChainMatch(pairs, rest, refusals);
  }

  /** Returns the position of this very object. */
  private static int indexOf(List<PluginConfig> plugins, @Nullable PluginConfig plugin) {
    for (int i = 0; i < plugins.size(); i++) {
      if (plugins.get(i) == plugin) {
        return i;
      }
    }
    return -1;
  }
}
