// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Json;
import cni.api.internal.BootClock;
import cni.plugins.etcd.client.KeyValue;
import java.net.InetAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/**
 * What an attachment holds. The key names network, node, container and interface.
 *
 * @param attachment the container and the interface
 * @param node the node that the container is on
 * @param addresses its addresses
 * @param name the name that the addresses are kept for after DEL; absent if they are not
 * @param since when they were reserved, by the node's clock, for people
 * @param boot the id of the node's boot in which ADD was last called
 * @param uptime the time from that boot to that ADD, which no change of a clock affects
 * @param modRevision the revision of this state; 0 if it is not stored yet
 */
record Handle(
    AttachmentId attachment,
    String node,
    List<ReservedAddress> addresses,
    Optional<String> name,
    Instant since,
    String boot,
    Duration uptime,
    long modRevision) {
  /** Copies the list. */
  Handle {
    addresses = List.copyOf(addresses);
  }

  /** Returns a handle of this moment. */
  static Handle now(
      AttachmentId attachment,
      String node,
      List<ReservedAddress> addresses,
      Optional<String> name) {
    return new Handle(
        attachment, node, addresses, name, Instant.now(), BootClock.bootId(), BootClock.now(), 0);
  }

  /** Returns the handle as an ADD of this moment that has found it writes it again. */
  Handle renewed() {
    return new Handle(
        attachment, node, addresses, name, since, BootClock.bootId(), BootClock.now(), modRevision);
  }

  /**
   * Parses a key's value.
   *
   * @throws CniException code 6 if it is invalid
   */
  static Handle parse(AttachmentId attachment, String node, KeyValue stored) throws CniException {
    StoredValue value = StoredValue.parse(stored);
    return new Handle(
        attachment,
        node,
        ReservedAddress.read(value),
        Optional.of(value.text("name")).filter(it -> !it.isEmpty()),
        value.time("since"),
        value.text("boot"),
        Duration.ofMillis(value.json().path("uptimeMillis").asLong(0)),
        stored.modRevision());
  }

  List<InetAddress> addressList() {
    return addresses.stream().map(ReservedAddress::address).toList();
  }

  String toJson() {
    ObjectNode json = Json.object();
    ReservedAddress.write(addresses, json);
    name.ifPresent(it -> json.put("name", it));
    json.put("since", since.toString());
    json.put("boot", boot).put("uptimeMillis", uptime.toMillis());
    return StoredValue.text(json);
  }

  /**
   * Returns whether the handle was written at a time since boot or earlier, or before this boot of
   * the node. Only meaningful on the node itself.
   */
  boolean wasWrittenBefore(Duration time) {
    return !boot.equals(BootClock.bootId()) || uptime.compareTo(time) <= 0;
  }
}
