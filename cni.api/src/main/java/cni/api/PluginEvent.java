package cni.api;

import java.time.Instant;
import java.util.Locale;
import java.util.Optional;

/**
 * Something that happened between calls: to an attachment, or to what attachments are made from.
 *
 * @param time when it was noticed
 * @param kind what it is, for programs
 * @param source who noticed it: the type of a plugin, or {@code kernel}
 * @param network the name of the network; empty if it is not about one
 * @param attachment that it is about; absent if it is about the network or the host as a whole
 * @param message what happened, for people: one sentence without a full stop, naming the interface,
 *     address or range
 */
public record PluginEvent(
    Instant time,
    Kind kind,
    String source,
    String network,
    Optional<AttachmentId> attachment,
    String message) {
  /** What can happen. Readers must expect others in later versions. */
  public enum Kind {
    /** An interface of an attachment exists no more, and no DEL has removed it. */
    INTERFACE_GONE,
    /** An interface of an attachment was set down or lost its carrier. */
    INTERFACE_DOWN,
    /** It can be used again. */
    INTERFACE_UP,
    /** An address of an attachment was removed from its interface. */
    ADDRESS_GONE,
    /** Somebody else on the network has an address of the attachment. */
    ADDRESS_CONFLICT,
    /** The right to an address has ended and could not be extended. */
    LEASE_LOST,
    /** What ADD needs has run out, such as the addresses of a range. */
    RESOURCE_EXHAUSTED,
    /** Something that only the source knows. */
    OTHER;

    /** As it stands in JSON: {@code interface-gone}. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  /** An event that happens now. */
  public static PluginEvent now(
      Kind kind, String source, String network, Optional<AttachmentId> attachment, String message) {
    return new PluginEvent(Instant.now(), kind, source, network, attachment, message);
  }
}
