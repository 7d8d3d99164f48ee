package cni.api;

/** What every request to a plugin carries. */
public sealed interface PluginRequest permits AttachmentRequest, GcRequest, NetworkRequest {
  /** The plugin's configuration, derived for this request. */
  PluginConfig config();

  /** What surrounds the call. */
  CallContext context();
}
