// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import java.util.List;
import java.util.Optional;

/**
 * The order of the plugins of a chain, as far as their roles are known.
 *
 * @param config the chain
 * @param roles the role of each plugin; absent if it is not known, as of an executable
 */
record ChainOrder(NetworkConfig config, List<Optional<PluginRole>> roles) {
  /**
   * Requires an order in which ADD can succeed.
   *
   * @throws CniException code 7 for the first plugin that is in the wrong place
   */
  void require() throws CniException {
    for (int i = 0; i < roles.size(); i++) {
      Optional<CniException> error = at(i);
      if (error.isPresent()) {
        throw error.get();
      }
    }
  }

  /** Returns the error (code 7) if a plugin is in the wrong place. */
  Optional<CniException> at(int index) {
    PluginConfig plugin = config.plugins().get(index);
    List<Optional<PluginRole>> earlier = roles.subList(0, index);
    boolean isChained = roles.get(index).equals(Optional.of(PluginRole.CHAINED));
    if (isChained
        && earlier.stream().allMatch(Optional.of(PluginRole.CHAINED)::equals)
        && !plugin.view().has("prevResult")) {
      return Optional.of(
          plugin
              .view()
              .invalid("type", "must follow a plugin that makes an interface, such as \"bridge\""));
    }
    int first = earlier.indexOf(Optional.of(PluginRole.INTERFACE));
    if (roles.get(index).equals(Optional.of(PluginRole.INTERFACE)) && first >= 0) {
      return Optional.of(
          plugin
              .view()
              .invalid(
                  "type",
                  "makes the same interface as plugin \"%s\" before it: keep one of them, or make a network of each"
                      .formatted(config.plugins().get(first).type())));
    }
    return Optional.empty();
  }
}
