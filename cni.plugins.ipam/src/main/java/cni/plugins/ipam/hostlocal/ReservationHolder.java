// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Json;
import cni.api.Names;
import java.util.Optional;

/**
 * The holder of an address, as the address's file names it: {@code containerID\r\nifname}.
 *
 * @param containerId the container's id, or any other text that a program wrote into the file
 * @param interfaceName the interface; absent in files of reference plugins before 0.7, where the
 *     reservation applies to any interface of the container
 */
record ReservationHolder(String containerId, Optional<String> interfaceName) {
  private static final String SEPARATOR = "\r\n";

  /** The number of characters of invalid content that a message quotes. */
  private static final int MAX_QUOTED = 80;

  /** Returns the holder of addresses that an attachment reserves. */
  static ReservationHolder of(AttachmentId attachment) {
    return new ReservationHolder(attachment.containerId(), Optional.of(attachment.interfaceName()));
  }

  /** Returns the holder in files that name the container only. */
  static ReservationHolder ofContainer(String containerId) {
    return new ReservationHolder(containerId, Optional.empty());
  }

  /** Returns the attachment; absent if the file names no interface, or no plugin has written it. */
  Optional<AttachmentId> attachment() {
    Optional<AttachmentId> id = interfaceName.map(name -> new AttachmentId(containerId, name));
    try {
      if (id.isPresent()) {
        Attachment.requireValid(id.get());
      }
      return id;
    } catch (CniException e) {
      return Optional.empty();
    }
  }

  /** Returns whether the file names a container only, as reference plugins before 0.7 wrote it. */
  boolean isContainer() {
    return hasValidContainerId() && interfaceName.isEmpty();
  }

  /** Returns the beginning of the content of the holder's files. */
  String excerpt() {
    String text = format();
    return text.substring(0, Math.min(text.length(), MAX_QUOTED));
  }

  /** Returns the content of the holder's files. */
  String format() {
    return containerId + interfaceName.map(name -> SEPARATOR + name).orElse("");
  }

  /**
   * Parses the content of a file.
   *
   * @return absent if the file is incomplete: empty, only zeros, or without an interface name after
   *     the separator. Any other text counts as a holder, so that the address is not allocated.
   */
  static Optional<ReservationHolder> parse(String content) {
    if (content.chars().allMatch(c -> c == 0 || Character.isWhitespace(c))) {
      return Optional.empty();
    }
    int separator = content.indexOf('\r');
    if (separator < 0) {
      return Optional.of(ofContainer(content.strip()));
    }
    String name = content.substring(separator).strip();
    return name.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new ReservationHolder(content.substring(0, separator).strip(), Optional.of(name)));
  }

  /** Returns the hash under which {@link ReservationIndex} lists this holder's addresses. */
  long hash() {
    long hash = mix(append(1, containerId));
    return interfaceName.isEmpty() ? hash : append(hash, interfaceName.get());
  }

  private static long append(long hash, String text) {
    long result = hash;
    for (int i = 0; i < text.length(); i++) {
      result = 31 * result + text.charAt(i);
    }
    return result;
  }

  /** Spreads the bits (Fibonacci hashing), so that ("ab", "c") and ("a", "bc") differ. */
  private static long mix(long number) {
    long mixed = number * 0x9e37_79b9_7f4a_7c15L;
    return mixed ^ mixed >>> 32;
  }

  /**
   * Compares both components; unlike a record's own method, without generating code at run time.
   */
  boolean isSame(ReservationHolder other) {
    return containerId.equals(other.containerId) && interfaceName.equals(other.interfaceName);
  }

  /** Whether a plugin can have written the file: the id fits the specification's grammar. */
  boolean hasValidContainerId() {
    return Names.isIdentifier(containerId);
  }

  @Override
  public String toString() {
    return hasValidContainerId()
        ? "container " + containerId + interfaceName.map(name -> ", " + name).orElse("")
        : Json.quote(containerId.substring(0, Math.min(containerId.length(), MAX_QUOTED)));
  }
}
