// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import cni.plugins.ipam.range.RangeSet;
import cni.plugins.ipam.range.RequestedAddresses;
import java.net.InetAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;

/**
 * Allocates the addresses of one attachment: one from each range set, all by one transaction. It
 * compares the revisions of the blocks and that the attachment has no handle, and writes the blocks
 * and the handle. If anything has changed meanwhile, it fails, reads what has changed, and is tried
 * again; of several concurrent transactions at least one succeeds each time.
 */
final class HandleAllocator {
  /** How long to try to undo what a transaction with an unknown outcome may have done. */
  private static final Duration UNDO_TIMEOUT = Duration.ofSeconds(2);

  /** The number of failures after which pauses begin, so that contenders do not repeat in step. */
  private static final int PAUSE_AFTER = 2;

  private static final int MAX_PAUSE_MILLIS = 20;

  private final EtcdStore store;
  private final PoolView view;
  private final EtcdConfig config;
  private final Request request;
  private final Deadline deadline;
  private final AddressSearch search;

  private Consumer<String> exhausted = _ -> {};

  /** Whether the store has been read by this call, after which a refusal is final. */
  private boolean isUpToDate;

  /** The addresses kept for the name, as far as a failed transaction has shown. */
  private Optional<KeptAddresses> kept = Optional.empty();

  /**
   * What is to be allocated.
   *
   * @param attachment the attachment
   * @param addresses the requested addresses, which are in the ranges
   * @param purpose why
   * @param name the name that the addresses are kept for; absent if they are not
   */
  record Request(
      AttachmentId attachment,
      List<InetAddress> addresses,
      Purpose purpose,
      Optional<String> name) {
    /** Copies the list. */
    Request {
      addresses = List.copyOf(addresses);
    }
  }

  /** Why addresses are allocated. */
  enum Purpose {
    /** For a new attachment: each range set provides one, the requested one if there is one. */
    ADD,
    /**
     * To record the requested addresses, which an attachment uses already: also if they are
     * excluded by now, and while a restored store assigns no others.
     */
    RECORD
  }

  HandleAllocator(
      EtcdStore store, PoolView view, EtcdConfig config, Request request, Deadline deadline) {
    this.store = store;
    this.view = view;
    this.config = config;
    this.request = request;
    this.deadline = deadline;
    search = new AddressSearch(store, view, config, deadline);
  }

  /** Sets what is called with the reason if a range set has no free address. */
  HandleAllocator onExhausted(Consumer<String> listener) {
    exhausted = listener;
    return this;
  }

  /**
   * Allocates the addresses. If the attachment has some already, they are returned: the call is a
   * repetition.
   *
   * @throws CniException code 4 if the attachment has addresses and others are requested, code 7 if
   *     a requested address cannot be allocated, code 11 if it is reserved or a set has no free
   *     address, or after a restore from a backup; otherwise as {@link PoolView#requireUsable} and
   *     EtcdClient
   */
  Handle allocate() throws CniException {
    view.load(deadline);
    for (int failures = 0; ; failures++) {
      deadline.check("an address was allocated");
      var attempt = new Attempt();
      Handle handle;
      try {
        requireUsable();
        handle = attempt.plan();
      } catch (CniException e) {
        if (isUpToDate) {
          throw e;
        }
        Optional<Handle> existing = renew(readAll());
        if (existing.isPresent()) {
          return existing.get();
        }
        continue;
      }
      TxnResponse response = commit(attempt.txn, handle);
      if (response.succeeded()) {
        attempt.changes.written(response.header().revision());
        requireNotRestored(handle);
        return handle;
      }
      view.refresh(attempt.changes.keys(), response);
      search.refresh(response);
      Optional<Handle> existing = renew(refresh(response));
      if (existing.isPresent()) {
        return existing.get();
      }
      if (failures >= PAUSE_AFTER) {
        pause();
      }
    }
  }

  /** One transaction and what it changes. */
  private final class Attempt {
    final Txn txn = new Txn();
    final BlockChanges changes = new BlockChanges(store, view, deadline);

    /** Reserved addresses that no name keeps any more. */
    final List<ReservedAddress> available = new ArrayList<>();

    /** Chooses the addresses and completes the transaction. */
    Handle plan() throws CniException {
      view.guard(txn, config.blockSizes());
      if (request.name().isPresent()) {
        takeKept(keptKey(request.name().get()), kept);
      }
      Handle handle = Handle.now(request.attachment(), store.node(), chooseAll(), request.name());
      for (ReservedAddress it : available) {
        changes.release(it);
      }
      changes.addTo(txn);
      txn.requireAbsent(handleKey())
          .then(new Op.Put(handleKey(), handle.toJson()))
          .otherwise(new Op.Get(handleKey()));
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

    private List<ReservedAddress> chooseAll() throws CniException {
      Map<RangeSet, InetAddress> wanted = config.ranges().firstBySet(request.addresses());
      RequestedAddresses.requireNoneLeft(
          request.addresses().stream().filter(it -> !wanted.containsValue(it)).toList());
      List<ReservedAddress> chosen = new ArrayList<>();
      for (RangeSet set : config.ranges().sets()) {
        InetAddress address = wanted.get(set);
        if (address != null) {
          chosen.add(chooseRequested(address, set));
        } else if (request.purpose() == Purpose.ADD) {
          chosen.add(choose(set));
        }
      }
      return chosen;
    }

    private ReservedAddress chooseRequested(InetAddress address, RangeSet set) throws CniException {
      for (ReservedAddress it : available) {
        if (it.address().equals(address)) {
          available.remove(it);
          return it;
        }
      }
      if (request.purpose() == Purpose.ADD) {
        config.requireAssignable(address, set);
      }
      return search.reserve(address, set, changes);
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
        CniException e = search.exhausted(set);
        if (isUpToDate) {
          exhausted.accept(e.getMessage());
        }
        throw e;
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
      String own = request.name().map(HandleAllocator.this::keptKey).orElse("");
      for (KeptAddresses it : store.readKept(deadline)) {
        if (!it.key().equals(own)
            && it.addresses().stream().anyMatch(a -> layout.isUsable(a.address()))) {
          takeKept(it.key(), Optional.of(it));
          return chooseAvailable(set);
        }
      }
      return Optional.empty();
    }
  }

  /**
   * Reads what is known of the store anew, so that no address is refused because of a state that
   * has passed; returns the attachment's handle, if any.
   */
  private Optional<Handle> readAll() throws CniException {
    view.reload(deadline);
    isUpToDate = true;
    return refresh(store.commit(Txn.read(new Op.Get(handleKey())), deadline));
  }

  private void requireUsable() throws CniException {
    Optional<StoreSchema> schema = view.schema();
    if (schema.isPresent() && request.purpose() == Purpose.ADD) {
      schema.get().requireNotRestored(store.network());
    }
    view.requireUsable(config.blockSizes());
  }

  private String handleKey() {
    return store.keys().handle(store.network(), store.node(), request.attachment());
  }

  private String keptKey(String name) {
    return store.keys().sticky(store.network(), name);
  }

  /** Commits; if the outcome is unknown, releases what may have been reserved. */
  private TxnResponse commit(Txn txn, Handle handle) throws CniException {
    try {
      return store.commit(txn, deadline);
    } catch (CniException e) {
      undo(handle, e);
      throw e;
    }
  }

  private void undo(Handle handle, CniException failure) {
    try {
      new HandleRelease(store, view, Deadline.after(UNDO_TIMEOUT)).undo(handle);
    } catch (CniException e) {
      failure.addSuppressed(e);
    }
  }

  /** Requires that the transaction has not shown that the store was restored from a backup. */
  private void requireNotRestored(Handle handle) throws CniException {
    Optional<StoreSchema> known = view.schema();
    if (request.purpose() == Purpose.ADD
        && known.isPresent()
        && known.get().epoch() != store.epoch()) {
      var e =
          new CniException(
              ErrorCode.TRY_AGAIN_LATER,
              "etcd was restored from a backup while an address was allocated; see \"cni status "
                  + store.network()
                  + "\"");
      undo(handle, e);
      throw e;
    }
  }

  /** Takes over what a failed transaction has read; returns the attachment's handle, if any. */
  private Optional<Handle> refresh(TxnResponse response) throws CniException {
    Optional<String> name = request.name().map(this::keptKey);
    kept = Optional.empty();
    Optional<Handle> existing = Optional.empty();
    for (KeyValue it : response.all()) {
      if (it.key().equals(handleKey())) {
        existing = Optional.of(Handle.parse(request.attachment(), store.node(), it));
      } else if (name.filter(it.key()::equals).isPresent()) {
        kept = Optional.of(KeptAddresses.parse(it));
      }
    }
    return existing;
  }

  /**
   * Takes the handle of an earlier call as the result of this one, and writes it again. A deletion
   * of it by an earlier DEL, ADD or GC may still be on its way to etcd, if its caller got no
   * answer: it compares the revision, and fails from now on.
   *
   * @return absent if there is none, or it has changed meanwhile
   */
  private Optional<Handle> renew(Optional<Handle> existing) throws CniException {
    if (existing.isEmpty()) {
      return existing;
    }
    Handle known = existing.get();
    requireSuitable(known);
    Txn write =
        new Txn()
            .require(handleKey(), known.modRevision())
            .then(new Op.Put(handleKey(), known.renewed().toJson()));
    return store.commit(write, deadline).succeeded() ? existing : Optional.empty();
  }

  /** Requires that addresses which the attachment has already are what the call asks for. */
  private void requireSuitable(Handle existing) throws CniException {
    List<InetAddress> held = existing.addressList();
    boolean isComplete =
        request.purpose() == Purpose.RECORD
            || config.ranges().firstBySet(held).size() == config.ranges().sets().size();
    if (!isComplete || !held.containsAll(request.addresses())) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "container %s, interface %s has the addresses %s already; delete that attachment before"
                  .formatted(
                      request.attachment().containerId(),
                      request.attachment().interfaceName(),
                      held.stream().map(InetAddresses::format).toList())
              + " adding it again");
    }
  }

  private static void pause() throws CniException {
    try {
      Thread.sleep(ThreadLocalRandom.current().nextLong(MAX_PAUSE_MILLIS));
    } catch (InterruptedException e) {
      throw CniException.interrupted("allocating an address");
    }
  }
}
