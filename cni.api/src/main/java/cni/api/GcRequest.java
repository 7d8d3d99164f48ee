// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NullChecks;
import java.util.List;
import java.util.Set;

/**
 * A request to remove the resources of attachments that no longer exist: GC (SPEC section 2).
 *
 * @param config the plugin's configuration, derived for this request
 * @param valid every attachment of the network that still exists
 * @param context the context of the call
 */
public record GcRequest(PluginConfig config, Set<AttachmentId> valid, CallContext context)
    implements PluginRequest {
  /**
   * The configuration keys that hold the valid attachments: the specification's, and an earlier one
   * that libcni still writes as well.
   */
  public static final List<String> VALID_ATTACHMENTS =
      List.of("cni.dev/valid-attachments", "cni.dev/attachments");

  /** Copies the set. */
  public GcRequest {
    requireNonNull(config, "config");
    NullChecks.requireElements(valid, "valid");
    requireNonNull(context, "context");
    valid = Set.copyOf(valid);
  }
}
