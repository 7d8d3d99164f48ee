// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.time.Instant;
import java.util.Locale;
import java.util.Optional;

/**
 * An event between calls that concerns an attachment or the resources of a network.
 *
 * @param time when the event was detected
 * @param kind the kind of event
 * @param source the detector: the type of a plugin, {@code kernel}, {@code cache}, {@code repair}
 *     or {@code host}
 * @param network the network's name; the empty string if no network is concerned
 * @param attachment the attachment concerned; absent if the network or the host as a whole is
 * @param message one sentence without a full stop that names the interface, address or range
 */
public record PluginEvent(
    Instant time,
    Kind kind,
    String source,
    String network,
    Optional<AttachmentId> attachment,
    String message) {
  /** Checks that no argument is null. */
  public PluginEvent {
    requireNonNull(time, "time");
    requireNonNull(kind, "kind");
    requireNonNull(source, "source");
    requireNonNull(network, "network");
    requireNonNull(attachment, "attachment");
    requireNonNull(message, "message");
  }

  /** Kinds of events. Later versions may add more. */
  public enum Kind {
    /** An attachment was added, by any process that uses the same cache. */
    ADDED,
    /** The configuration, the arguments or the result of an attachment were changed. */
    UPDATED,
    /** An attachment was deleted. */
    DELETED,
    /**
     * Events are missing: a source of events cannot be opened or has failed, or the listener was
     * too slow.
     */
    EVENTS_LOST,
    /** An interface of an attachment was deleted other than by DEL. */
    INTERFACE_GONE,
    /** An interface of an attachment was set down or lost its carrier. */
    INTERFACE_DOWN,
    /** An interface of an attachment was set up again or regained its carrier. */
    INTERFACE_UP,
    /** An address of an attachment was removed from its interface. */
    ADDRESS_GONE,
    /** Another host on the network uses an address of the attachment. */
    ADDRESS_CONFLICT,
    /** The lease of an address expired and could not be renewed. */
    LEASE_LOST,
    /** A resource that ADD needs is exhausted, such as the addresses of a range. */
    RESOURCE_EXHAUSTED,
    /** Something missing from an attachment was restored without a call. */
    REPAIRED,
    /** Something missing from an attachment could not be restored. */
    REPAIR_FAILED,
    /** An event of a kind specific to the source. */
    OTHER;

    /** Returns the form used in JSON, such as {@code interface-gone}. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  /** Creates an event with the current time. */
  public static PluginEvent now(
      Kind kind, String source, String network, Optional<AttachmentId> attachment, String message) {
    return new PluginEvent(Instant.now(), kind, source, network, attachment, message);
  }
}
