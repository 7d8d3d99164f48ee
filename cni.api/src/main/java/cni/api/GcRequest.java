package cni.api;

import java.util.List;
import java.util.Set;

/**
 * A request to remove what no attachment needs any more: GC.
 *
 * @param config the plugin's configuration, derived for this request
 * @param valid every attachment of the network that still exists
 * @param context what surrounds the call
 */
public record GcRequest(PluginConfig config, Set<AttachmentId> valid, CallContext context)
    implements PluginRequest {
  /**
   * The keys that the valid attachments stand under in JSON: what libcni writes, and what the
   * specification once called it, which libcni writes as well.
   */
  public static final List<String> VALID_ATTACHMENTS =
      List.of("cni.dev/valid-attachments", "cni.dev/attachments");

  /** Takes a copy of the set. */
  public GcRequest {
    valid = Set.copyOf(valid);
  }
}
