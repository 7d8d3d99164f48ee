// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.ipam.range.RangeSet;
import cni.plugins.ipam.range.RequestedAddresses;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** One transaction of a {@link HandleAllocator}: chooses the addresses by what is known. */
final class AllocationAttempt {
  private final EtcdStore store;
  private final StoreView view;
  private final EtcdConfig config;
  private final AllocationRequest request;
  private final AddressSearch search;
  private final Deadline deadline;

  private final Txn txn = new Txn();
  private final BlockChanges changes;

  /** Reserved addresses that no name keeps any more. */
  private final List<ReservedAddress> available = new ArrayList<>();

  private boolean isExhausted;

  AllocationAttempt(
      StoreSession session,
      EtcdConfig config,
      AllocationRequest request,
      AddressSearch search,
      Deadline deadline) {
    store = session.store();
    view = session.view();
    this.config = config;
    this.request = request;
    this.search = search;
    this.deadline = deadline;
    changes = new BlockChanges(store, view, deadline);
  }

  Txn txn() {
    return txn;
  }

  BlockChanges changes() {
    return changes;
  }

  /** Returns whether {@link #plan} has failed because a range set has no free address. */
  boolean isExhausted() {
    return isExhausted;
  }

  /**
   * Chooses the addresses and completes the transaction, which writes the handle.
   *
   * @param kept the addresses kept for the request's name, as far as is known
   * @return the handle
   * @throws CniException code 7 or 11 if no or not the requested address can be allocated;
   *     otherwise as EtcdClient throws
   */
  Handle plan(Optional<KeptAddresses> kept) throws CniException {
    view.guard(txn, config.blockSizes());
    if (request.name().isPresent()) {
      takeKept(store.keys().sticky(store.network(), request.name().get()), kept);
    }
    List<ReservedAddress> chosen = request.isAdd() ? chooseOfEachSet() : chooseRequested();
    Handle handle = Handle.now(request.attachment(), store.node(), chosen, request.name());
    for (ReservedAddress it : available) {
      changes.release(it);
    }
    changes.addTo(txn);
    String key = store.keys().handle(store.network(), store.node(), request.attachment());
    txn.requireAbsent(key).then(new Op.Put(key, handle.toJson())).otherwise(new Op.Get(key));
    view.reads().forEach(txn::otherwise);
    return handle;
  }

  private void takeKept(String key, Optional<KeptAddresses> addresses) {
    txn.require(key, addresses.map(KeptAddresses::modRevision).orElse(0L))
        .otherwise(new Op.Get(key));
    if (addresses.isPresent()) {
      txn.then(new Op.Delete(key));
      available.addAll(addresses.get().addresses());
    }
  }

  private List<ReservedAddress> chooseOfEachSet() throws CniException {
    Map<RangeSet, InetAddress> wanted = config.ranges().firstBySet(request.addresses());
    RequestedAddresses.requireNoneLeft(
        request.addresses().stream().filter(it -> !wanted.containsValue(it)).toList());
    List<ReservedAddress> chosen = new ArrayList<>();
    for (RangeSet set : config.ranges().sets()) {
      InetAddress address = wanted.get(set);
      if (address == null) {
        chosen.add(choose(set));
      } else {
        config.requireAssignable(address, set);
        chosen.add(choose(address));
      }
    }
    return chosen;
  }

  private List<ReservedAddress> chooseRequested() throws CniException {
    List<ReservedAddress> chosen = new ArrayList<>();
    for (InetAddress address : request.addresses()) {
      chosen.add(choose(address));
    }
    return chosen;
  }

  private ReservedAddress choose(InetAddress address) throws CniException {
    for (ReservedAddress it : available) {
      if (it.address().equals(address)) {
        available.remove(it);
        return it;
      }
    }
    return search.reserve(address, changes);
  }

  private ReservedAddress choose(RangeSet set) throws CniException {
    Optional<ReservedAddress> chosen = chooseAvailable(set);
    if (chosen.isEmpty()) {
      chosen = search.reserveNext(set, changes);
    }
    if (chosen.isEmpty()) {
      chosen = evict(set);
    }
    if (chosen.isEmpty()) {
      isExhausted = true;
      throw search.exhausted(set);
    }
    return chosen.get();
  }

  private Optional<ReservedAddress> chooseAvailable(RangeSet set) {
    BlockLayout layout = config.layout(set);
    Optional<ReservedAddress> found =
        available.stream().filter(it -> layout.isUsable(it.address())).findFirst();
    found.ifPresent(available::remove);
    return found;
  }

  /** Takes the addresses of the name that has not been used for the longest time. */
  private Optional<ReservedAddress> evict(RangeSet set) throws CniException {
    BlockLayout layout = config.layout(set);
    for (KeptAddresses it : store.readKept(deadline)) {
      if (!isOwn(it) && it.addresses().stream().anyMatch(a -> layout.isUsable(a.address()))) {
        takeKept(it.key(), Optional.of(it));
        return chooseAvailable(set);
      }
    }
    return Optional.empty();
  }

  private boolean isOwn(KeptAddresses kept) {
    return request
        .name()
        .filter(it -> store.keys().sticky(store.network(), it).equals(kept.key()))
        .isPresent();
  }
}
