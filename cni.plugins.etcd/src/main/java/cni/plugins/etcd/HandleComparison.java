// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.plugins.etcd.HandleAllocator.Purpose;
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
  private final Pools pools;
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
      Pools pools,
      AttachmentRequest desired,
      EtcdConfig config,
      Optional<String> name,
      Differences differences) {
    this.pools = pools;
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
    Set<InetAddress> held = readHeld();
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
    }
    return config.ipConfigs(present);
  }

  private Set<InetAddress> readHeld() throws CniException {
    try (Pool pool = pools.open(config.store())) {
      EtcdStore store = pool.store();
      String key = store.keys().handle(store.network(), store.node(), id);
      TxnResponse response = store.commit(Txn.read(new Op.Get(key)), desired.context().deadline());
      Optional<KeyValue> stored = response.get(0);
      Set<InetAddress> held = new LinkedHashSet<>();
      if (stored.isPresent()) {
        Handle.parse(id, store.node(), stored.get())
            .addresses()
            .forEach(it -> held.add(it.address()));
      }
      return held;
    }
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
    Deadline deadline = desired.context().deadline();
    var request = new HandleAllocator.Request(id, List.copyOf(addresses), Purpose.RECORD, name);
    try (Pool pool = pools.open(config.store())) {
      pool.exclusively(
          deadline,
          () ->
              new HandleAllocator(pool.store(), pool.view(), config, request, deadline).allocate());
    }
  }

  private void release() throws CniException {
    Deadline deadline = desired.context().forCleanup().deadline();
    try (Pool pool = pools.open(config.store())) {
      new HandleRelease(pool.store(), pool.view(), deadline).release(id);
    }
  }

  private String holder() {
    return "container %s, interface %s on node %s in etcd"
        .formatted(id.containerId(), id.interfaceName(), config.store().node());
  }
}
