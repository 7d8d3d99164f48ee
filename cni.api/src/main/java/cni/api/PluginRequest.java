// SPDX-License-Identifier: Apache-2.0
package cni.api;

/** A request to a plugin. */
public sealed interface PluginRequest permits AttachmentRequest, GcRequest, NetworkRequest {
  /** Returns the plugin's configuration, derived for this request. */
  PluginConfig config();

  /** Returns the context of the call. */
  CallContext context();
}
