// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.api.PortMapping;
import cni.doctor.traffic.Quantity;
import cni.runtime.AttachmentPresence;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * An attachment as {@code cni list} shows it.
 *
 * @param cached what is stored of it
 * @param presence whether its namespace and interface exist
 * @param difference what CHECK has found; absent if it succeeded or was not run
 * @param storedAt when it was added or updated last; absent if it has just been deleted
 */
record ListedAttachment(
    CachedAttachment cached,
    AttachmentPresence presence,
    Optional<String> difference,
    Optional<Instant> storedAt) {
  private static final String OK = "ok";
  private static final String UNKNOWN = "unknown";
  private static final String DIFFERS = "differs";
  private static final String NONE = "-";

  /**
   * Examines an attachment.
   *
   * @param checks whether to run CHECK if its interface exists
   */
  static ListedAttachment of(CachedAttachment cached, Cni cni, boolean checks) {
    AttachmentPresence presence = cached.presence();
    Optional<String> difference =
        checks && presence == AttachmentPresence.PRESENT ? check(cached, cni) : Optional.empty();
    return new ListedAttachment(cached, presence, difference, cni.storedAt(cached));
  }

  private static Optional<String> check(CachedAttachment cached, Cni cni) {
    try {
      cni.network(cached.config()).check(cached.attachment());
      return Optional.empty();
    } catch (CniException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  /** Returns whether the attachment is known not to be as ADD made it. */
  boolean differs() {
    return difference.isPresent()
        || presence == AttachmentPresence.NAMESPACE_GONE
        || presence == AttachmentPresence.INTERFACE_GONE;
  }

  /** Returns whether the attachment exists and is as ADD made it, in a few words. */
  private String state() {
    return switch (presence) {
      case PRESENT -> difference.isPresent() ? DIFFERS : OK;
      case NAMESPACE_GONE -> "namespace gone";
      case INTERFACE_GONE -> "interface gone";
      case UNKNOWN -> UNKNOWN;
    };
  }

  /** Returns the colour of a state. */
  static Optional<Terminal.Style> style(String state) {
    return switch (state) {
      case OK -> Optional.of(Terminal.Style.GOOD);
      case UNKNOWN, DIFFERS -> Optional.of(Terminal.Style.WARNING);
      default ->
          state.endsWith(" gone") ? Optional.of(Terminal.Style.BAD) : Optional.empty(); // heading
    };
  }

  /** Returns network, container and interface for messages. */
  String name() {
    Attachment attachment = cached.attachment();
    return "%s/%s/%s"
        .formatted(cached.network(), attachment.containerId(), attachment.interfaceName());
  }

  /** Returns the row of the table. */
  String[] cells(Instant now) {
    Attachment attachment = cached.attachment();
    return new String[] {
      cached.network(),
      attachment.containerId(),
      attachment.interfaceName(),
      addresses().map(it -> String.join(" ", it)).orElse("?"),
      orNone(ports().stream().map(PortMapping::toString).collect(Collectors.joining(" "))),
      state(),
      storedAt.map(it -> Quantity.age(Duration.between(it, now))).orElse(NONE),
      attachment.namespace().map(Path::toString).orElse(NONE)
    };
  }

  private static String orNone(String text) {
    return text.isEmpty() ? NONE : text;
  }

  /** Returns the addresses; absent if another program has stored a result that is unreadable. */
  private Optional<List<String>> addresses() {
    try {
      return Optional.of(
          cached.result().ips().stream().map(ip -> ip.address().toString()).toList());
    } catch (CniException e) {
      return Optional.empty();
    }
  }

  /** Returns the published ports. */
  private List<PortMapping> ports() {
    return PortMapping.readValid(cached.attachment().capabilityArgs());
  }

  /**
   * Returns the attachment as JSON, with all that is stored.
   *
   * @throws CniException code 4 if another program has stored arguments that are malformed
   */
  ObjectNode json() throws CniException {
    Attachment attachment = cached.attachment();
    ObjectNode object = Json.object();
    object.put("network", cached.network());
    object.put("containerId", attachment.containerId());
    object.put("ifName", attachment.interfaceName());
    ArrayNode addresses = object.putArray("addresses");
    addresses().orElse(List.of()).forEach(addresses::add);
    ArrayNode ports = object.putArray("ports");
    ports().forEach(it -> ports.add(it.toJson()));
    object.put("state", state());
    difference.ifPresent(it -> object.put("difference", it));
    storedAt.ifPresent(it -> object.put("storedAt", it.toString()));
    object.put("netns", attachment.sandbox());
    ObjectNode args = object.putObject("cniArgs");
    attachment.args().toMap().forEach(args::put);
    object.putObject("capabilityArgs").setAll(attachment.capabilityArgs());
    object.set("result", cached.resultJson());
    return object;
  }
}
