// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import java.net.InetAddress;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Compares what an attachment holds in etcd with the addresses of its last result. Addresses that
 * are not recorded are recorded again, unless another attachment has got them meanwhile.
 */
final class HandleComparison {
  private final StoreSessions sessions;
  private final AttachmentRequest desired;
  private final EtcdConfig config;
  private final Optional<String> name;
  private final Differences differences;
  private final AttachmentId id;

  /**
   * Creates a comparison.
   *
   * @param name the name that the addresses are kept for
   */
  HandleComparison(
      StoreSessions sessions,
      AttachmentRequest desired,
      EtcdConfig config,
      Optional<String> name,
      Differences differences) {
    this.sessions = sessions;
    this.desired = desired;
    this.config = config;
    this.name = name;
    this.differences = differences;
    id = desired.attachment().id();
  }

  /**
   * Adds the differences and returns the addresses as ADD would.
   *
   * @param current the present configuration
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid
   */
  List<Result.IpConfig> compare(EtcdConfig current) throws CniException {
    Set<InetAddress> present = new LinkedHashSet<>();
    desired
        .prevResult()
        .orElse(Result.EMPTY)
        .ips()
        .forEach(ip -> present.add(ip.address().address()));
    present.removeIf(it -> !current.ranges().contains(it));
    Optional<Handle> handle = readHandle();
    Set<InetAddress> held = new LinkedHashSet<>(handle.map(Handle::addressList).orElse(List.of()));
    if (present.isEmpty()) {
      present.addAll(held);
    }
    for (InetAddress address : present) {
      if (!config.ranges().contains(address)) {
        differences.addUnchangeable(
            "address %s of the attachment is in none of the ranges: %s"
                .formatted(InetAddresses.format(address), config.ranges()));
      }
    }
    if (present.isEmpty()) {
      differences.addUnchangeable("no address is reserved for " + holder());
    } else if (!held.containsAll(present)) {
      addMissing(present, held);
    } else {
      addUnreserved(handle.orElseThrow());
    }
    return config.ipConfigs(present);
  }

  private Optional<Handle> readHandle() throws CniException {
    try (StoreSession session = sessions.open(config.store())) {
      EtcdStore store = session.store();
      String key = store.keys().handle(store.network(), store.node(), id);
      String node = store.keys().node(store.node());
      TxnResponse response = store.commit(Txn.read(new Op.Get(key), new Op.Get(node)), deadline());
      NodeRecord.requireThisMachine(response.get(1), store.node());
      Optional<KeyValue> stored = response.get(0);
      return stored.isPresent()
          ? Optional.of(Handle.parse(id, store.node(), stored.get()))
          : Optional.empty();
    }
  }

  private Deadline deadline() {
    return desired.context().deadline();
  }

  private void addMissing(Set<InetAddress> present, Set<InetAddress> held) {
    List<String> missing =
        present.stream().filter(it -> !held.contains(it)).map(InetAddresses::format).toList();
    String finding =
        "%s %s not reserved for %s"
            .formatted(String.join(", ", missing), missing.size() == 1 ? "is" : "are", holder());
    if (held.isEmpty()) {
      differences.add(
          finding, "reserve " + String.join(", ", missing), () -> record(present), this::release);
    } else {
      differences.addUnchangeable(finding + ", which holds other addresses");
    }
  }

  private void record(Set<InetAddress> addresses) throws CniException {
    var request = AllocationRequest.record(id, List.copyOf(addresses), name);
    try (StoreSession session = sessions.open(config.store())) {
      new HandleAllocator(session, config, request, deadline()).allocate();
    }
  }

  private void release() throws CniException {
    Deadline deadline = desired.context().forCleanup().deadline();
    try (StoreSession session = sessions.open(config.store())) {
      session.runExclusively(
          deadline, () -> new HandleRelease(session.store(), session.view(), deadline).release(id));
    }
  }

  /** Adds the addresses of the handle that are free in their blocks: others could get them. */
  private void addUnreserved(Handle handle) throws CniException {
    List<InetAddress> unreserved;
    try (StoreSession session = sessions.open(config.store())) {
      unreserved = new HandleReservation(session.store(), handle, deadline()).unreserved();
    }
    if (!unreserved.isEmpty()) {
      String names = String.join(", ", unreserved.stream().map(InetAddresses::format).toList());
      differences.add(
          "%s of %s %s free in etcd's block: other containers could get the same address"
              .formatted(names, holder(), unreserved.size() == 1 ? "is" : "are"),
          "reserve " + names,
          () -> reserve(handle, unreserved),
          Differences.Action.NONE);
    }
  }

  private void reserve(Handle handle, List<InetAddress> unreserved) throws CniException {
    try (StoreSession session = sessions.open(config.store())) {
      session.runExclusively(
          deadline(),
          () -> new HandleReservation(session.store(), handle, deadline()).reserve(unreserved));
    }
  }

  private String holder() {
    return "container %s, interface %s on node %s in etcd"
        .formatted(id.containerId(), id.interfaceName(), config.store().node());
  }
}
