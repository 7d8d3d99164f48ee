// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

/**
 * A request about a network as a whole: STATUS, and validation.
 *
 * @param config the plugin's configuration, derived for this request
 * @param context the context of the call
 */
public record NetworkRequest(PluginConfig config, CallContext context) implements PluginRequest {
  /** Checks that no argument is null. */
  public NetworkRequest {
    requireNonNull(config, "config");
    requireNonNull(context, "context");
  }
}
