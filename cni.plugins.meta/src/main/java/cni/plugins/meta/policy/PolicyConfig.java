// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.policy.PolicyDirectories;
import java.nio.file.Path;

/** The keys of the plugin's configuration. */
final class PolicyConfig {
  private static final String POLICY_DIR = "policyDir";
  private static final String DATA_DIR = "dataDir";

  private PolicyConfig() {}

  /**
   * Reads the directories.
   *
   * @throws CniException code 7 if one is not an absolute path
   */
  static PolicyDirectories directories(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    return new PolicyDirectories(
        directory(view, POLICY_DIR, PolicyDirectories.DEFAULT.policies()),
        directory(view, DATA_DIR, PolicyDirectories.DEFAULT.data()));
  }

  private static Path directory(ConfigObject view, String key, Path otherwise) throws CniException {
    return view.parsed(key, PolicyConfig::absolute).orElse(otherwise);
  }

  private static Path absolute(String text) {
    Path path = Path.of(text); // InvalidPathException is an IllegalArgumentException
    if (!path.isAbsolute()) {
      throw new IllegalArgumentException("must be an absolute path");
    }
    return path;
  }
}
