// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.SpecVersion;
import cni.api.Verb;
import java.util.Map;

/** One STATUS of a network: of its cache directory and of the plugins of its chain. */
final class StatusOperation {
  private final CniState cni;
  private final NetworkConfig config;
  private final CallContext context;

  StatusOperation(CniState cni, NetworkConfig config, CallContext context) {
    this.cni = cni;
    this.config = config;
    this.context = context;
  }

  /**
   * Checks the cache directory and calls the plugins. Does nothing if the version has no STATUS.
   *
   * @throws CniException the first error; see {@link Network#status}
   */
  void run() throws CniException {
    if (!Verb.STATUS.isDefinedIn(config.version())) {
      return;
    }
    SpecVersion version = version();
    if (!Verb.STATUS.isDefinedIn(version)) {
      return;
    }
    cni.cache().requireWritable(config.name());
    for (PluginConfig plugin : config.plugins()) {
      context.deadline().check("STATUS of " + plugin.type());
      var derived = plugin.forRequest(config.name(), version, Map.of());
      var request = new NetworkRequest(derived, context);
      new PluginCall(config.name(), Verb.STATUS, plugin.type())
          .run(() -> cni.plugins().find(plugin.type()).status(request));
    }
  }

  /**
   * Returns the version; a plugin that is present but disabled is code 50 (not available), not 7.
   */
  private SpecVersion version() throws CniException {
    try {
      return new VersionNegotiation(config, cni.plugins()).negotiate();
    } catch (CniException e) {
      boolean disabled =
          e.is(ErrorCode.INVALID_CONFIG)
              && config.plugins().stream().anyMatch(it -> cni.plugins().isDisabled(it.type()));
      throw disabled ? new CniException(ErrorCode.NOT_AVAILABLE, e.getMessage(), e) : e;
    }
  }
}
