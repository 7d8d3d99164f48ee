// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.AttachmentId;
import cni.api.internal.NullChecks;
import java.util.List;

/**
 * What a GC of a network did, or would do.
 *
 * @param network the network's name
 * @param kept the known attachments that are valid
 * @param deleted the known attachments that are not: DEL was called for each
 * @param collectors the types of the plugins that were called to remove what belongs to any other
 *     attachment, such as reservations and rules; empty below version 1.1.0
 */
public record GcReport(
    String network, List<AttachmentId> kept, List<AttachmentId> deleted, List<String> collectors) {
  /** Returns the report of a GC that the configuration forbids. */
  static GcReport nothing(String network) {
    return new GcReport(network, List.of(), List.of(), List.of());
  }

  /** Copies the lists. */
  public GcReport {
    requireNonNull(network, "network");
    kept = NullChecks.copyOf(kept, "kept");
    deleted = NullChecks.copyOf(deleted, "deleted");
    collectors = NullChecks.copyOf(collectors, "collectors");
  }
}
