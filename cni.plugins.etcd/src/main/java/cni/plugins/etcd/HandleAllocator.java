// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.internal.LazyLogger;
import cni.api.internal.Uninterruptibly;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import java.net.InetAddress;
import java.time.Duration;
import java.util.List;
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
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  /** How long to try to undo what a transaction with an unknown outcome may have done. */
  private static final Duration UNDO_TIMEOUT = Duration.ofSeconds(2);

  /** The number of failures after which pauses begin, so that contenders do not repeat in step. */
  private static final int PAUSE_AFTER = 2;

  private static final int MAX_PAUSE_MILLIS = 20;

  private final StoreSession session;
  private final EtcdStore store;
  private final StoreView view;
  private final EtcdConfig config;
  private final AllocationRequest request;
  private final Deadline deadline;
  private final AddressSearch search;

  private Consumer<String> exhausted = _ -> {};

  /** Whether the store has been read by this call, after which a refusal is final. */
  private boolean isUpToDate;

  /** The addresses kept for the name, as far as a failed transaction has shown. */
  private Optional<KeptAddresses> kept = Optional.empty();

  HandleAllocator(
      StoreSession session, EtcdConfig config, AllocationRequest request, Deadline deadline) {
    this.session = session;
    this.config = config;
    this.request = request;
    this.deadline = deadline;
    store = session.store();
    view = session.view();
    search = new AddressSearch(store, view, config, deadline);
  }

  /** Sets what is called with the reason if a range set has no free address. */
  HandleAllocator onExhausted(Consumer<String> listener) {
    exhausted = listener;
    return this;
  }

  /**
   * Allocates the addresses, when no other call of this process writes. If the attachment has some
   * already, they are returned: the call is a repetition.
   *
   * @throws CniException code 4 if the attachment has addresses and others are requested, code 7 if
   *     a requested address cannot be allocated, code 11 if it is reserved ({@link
   *     AddressHeldException}) or a set has no free address, or after a restore from a backup;
   *     otherwise as {@link StoreView#requireUsable} and EtcdClient
   */
  Handle allocate() throws CniException {
    return session.exclusively(deadline, this::repeatUntilCommitted);
  }

  private Handle repeatUntilCommitted() throws CniException {
    view.load(deadline);
    for (int failures = 0; ; failures++) {
      deadline.check("an address was allocated");
      Optional<Handle> allocated = attempt();
      if (allocated.isPresent()) {
        return allocated.get();
      }
      if (failures >= PAUSE_AFTER) {
        pause();
      }
    }
  }

  /** Makes one transaction; returns absent if it must be made again with what is known by now. */
  private Optional<Handle> attempt() throws CniException {
    var attempt = new AllocationAttempt(session, config, request, search, deadline);
    Handle handle;
    try {
      requireUsable();
      handle = attempt.plan(kept);
    } catch (CniException e) {
      if (!isUpToDate) {
        return renew(readAll());
      }
      if (attempt.isExhausted()) {
        exhausted.accept(e.getMessage());
      }
      throw e;
    }
    TxnResponse response = commit(attempt.txn(), handle);
    if (response.succeeded()) {
      attempt.changes().written(response.header().revision());
      requireNotRestored(handle);
      readCreated();
      return Optional.of(handle);
    }
    view.refresh(attempt.changes().keys(), response);
    search.refresh(response);
    return renew(refresh(response));
  }

  /**
   * Reads the store again, because no address may be refused by stale knowledge; returns the
   * attachment's handle, if any.
   */
  private Optional<Handle> readAll() throws CniException {
    view.reload(deadline);
    isUpToDate = true;
    Txn read = Txn.read(new Op.Get(handleKey()));
    request.name().ifPresent(it -> read.then(new Op.Get(store.keys().sticky(store.network(), it))));
    return refresh(store.commit(read, deadline));
  }

  private void requireUsable() throws CniException {
    Optional<StoreSchema> schema = view.schema();
    if (schema.isPresent() && request.isAdd()) {
      schema.get().requireNotRestored(store.network());
    }
    view.requireUsable(config.blockSizes());
  }

  private String handleKey() {
    return store.keys().handle(store.network(), store.node(), request.attachment());
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

  /** Releases what may have been reserved, also if the call was interrupted. */
  private void undo(Handle handle, CniException failure) {
    Uninterruptibly.run(
        "cni-etcd-undo",
        () -> {
          try {
            new HandleRelease(store, view, Deadline.after(UNDO_TIMEOUT)).undo(handle);
          } catch (CniException e) {
            failure.addSuppressed(e);
          }
        });
  }

  /**
   * Reads the records that the first ADD of a node or a network creates, so that this host knows
   * the store from then on. The ADD has succeeded: if this fails, the next call reads them.
   */
  private void readCreated() {
    try {
      view.load(deadline);
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "the store is read by the next call", e);
    }
  }

  /** Requires that the transaction has not shown that the store was restored from a backup. */
  private void requireNotRestored(Handle handle) throws CniException {
    Optional<StoreSchema> known = view.schema();
    if (request.isAdd() && known.isPresent() && known.get().epoch() != store.seen().epoch()) {
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

  /** Adopts what a failed transaction has read; returns the attachment's handle, if any. */
  private Optional<Handle> refresh(TxnResponse response) throws CniException {
    Optional<String> name = request.name().map(it -> store.keys().sticky(store.network(), it));
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
   * Returns the handle of an earlier call as the result of this one, and writes it again. A
   * deletion of it by an earlier DEL, ADD or GC may still be on its way to etcd, if its caller got
   * no answer: it compares the revision, and fails from now on.
   *
   * @return absent if there is none, or it has changed meanwhile
   */
  private Optional<Handle> renew(Optional<Handle> existing) throws CniException {
    if (existing.isEmpty()) {
      return existing;
    }
    Handle known = existing.get();
    requireUsable();
    requireSuitable(known);
    Txn write =
        new Txn()
            .require(handleKey(), known.modRevision())
            .then(new Op.Put(handleKey(), known.renewed().toJson()));
    view.guard(write, config.blockSizes());
    view.reads().forEach(write::otherwise);
    TxnResponse response = store.commit(write, deadline);
    if (!response.succeeded()) {
      view.refresh(List.of(), response);
      return Optional.empty();
    }
    return existing;
  }

  /** Requires that addresses which the attachment has already are what the call asks for. */
  private void requireSuitable(Handle existing) throws CniException {
    List<InetAddress> held = existing.addressList();
    boolean isComplete =
        !request.isAdd()
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
