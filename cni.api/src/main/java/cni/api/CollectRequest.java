package cni.api;

import java.util.Set;

/**
 * A request to remove what no attachment needs any more: GC.
 *
 * @param config the plugin's configuration, derived for this request
 * @param valid every attachment of the network that still exists
 * @param context what surrounds the call
 */
public record CollectRequest(PluginConfig config, Set<AttachmentId> valid, CallContext context)
    implements PluginRequest {
  /** Takes a copy of the set. */
  public CollectRequest {
    valid = Set.copyOf(valid);
  }
}
