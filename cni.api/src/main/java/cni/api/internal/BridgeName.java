// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import cni.api.CniException;
import cni.api.ConfigObject;

/**
 * The name of the bridge that a configuration of the bridge plugin names, for modules that do not
 * depend on that plugin.
 */
public final class BridgeName {
  /** The reference plugin's default. */
  private static final String DEFAULT = "cni0";

  private BridgeName() {}

  /**
   * Returns the name, valid or not.
   *
   * @param plugin the configuration of a plugin of type bridge
   * @throws CniException code 7 if it is not a string
   */
  public static String of(ConfigObject plugin) throws CniException {
    return plugin.nonEmpty("bridge").orElse(DEFAULT);
  }
}
