// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Releases what attachments hold. It looks for the handle of an attachment, never for an address:
 * an address that has been assigned to another attachment meanwhile is not affected.
 */
final class HandleRelease {
  /** The operations of a transaction, of etcd's default limit of 128. */
  private static final int MAX_OPERATIONS = 120;

  private final EtcdStore store;
  private final StoreView view;
  private final Deadline deadline;

  /** The registration of the node whose handles are released; absent for the own node's. */
  private Optional<Registration> registration = Optional.empty();

  /**
   * A node's registration in a certain state.
   *
   * @param modRevision the revision of the state; 0 if there is none
   */
  record Registration(String key, long modRevision) {}

  HandleRelease(EtcdStore store, StoreView view, Deadline deadline) {
    this.store = store;
    this.view = view;
    this.deadline = deadline;
  }

  /** Releases nothing any more as soon as a node's registration has another state. */
  HandleRelease whileUnchanged(Registration of) {
    registration = Optional.of(of);
    return this;
  }

  /**
   * Releases the addresses of an attachment of this node, or keeps them for its name. Does nothing
   * if it has none.
   *
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid; code 7 if another
   *     machine has the node's name, whose attachment it is
   */
  void release(AttachmentId attachment) throws CniException {
    String key = store.keys().handle(store.network(), store.node(), attachment);
    var read = new Txn().then(new Op.Get(key));
    view.reads().forEach(read::then);
    TxnResponse response = store.commit(read, deadline);
    view.refresh(List.of(), response);
    Optional<KeyValue> stored = response.get(0);
    if (stored.isPresent()) {
      Handle handle = Handle.parse(attachment, store.node(), stored.get());
      view.requireOwnNode();
      release(new HashMap<>(Map.of(key, handle)), false);
    }
  }

  /**
   * Releases a handle that this process may have written, if it has.
   *
   * @param written the handle, as it was to be written
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid
   */
  void undo(Handle written) throws CniException {
    String key = store.keys().handle(store.network(), store.node(), written.attachment());
    Optional<KeyValue> stored = store.commit(Txn.read(new Op.Get(key)), deadline).get(0);
    if (stored.filter(it -> it.value().equals(written.toJson())).isPresent()) {
      releaseUnchanged(
          List.of(Handle.parse(written.attachment(), store.node(), stored.orElseThrow())));
    }
  }

  /**
   * Releases the addresses of attachments that have not changed since they were read.
   *
   * @return the number of attachments whose addresses have been released
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid; code 4 if the
   *     registration has changed ({@link #whileUnchanged})
   */
  int releaseUnchanged(Collection<Handle> handles) throws CniException {
    int released = 0;
    Map<String, Handle> batch = new LinkedHashMap<>();
    int operations = 0;
    for (Handle it : handles) {
      int more = 2 + 2 * it.addresses().size();
      if (operations + more > MAX_OPERATIONS) {
        released += release(batch, true);
        batch.clear();
        operations = 0;
      }
      batch.put(store.keys().handle(store.network(), it.node(), it.attachment()), it);
      operations += more;
    }
    return released + release(batch, true);
  }

  /**
   * Releases handles by one transaction, which is repeated if something has changed.
   *
   * @param handles by key; those that do not exist any more are removed
   * @param onlyUnchanged whether to leave handles that have changed
   */
  private int release(Map<String, Handle> handles, boolean onlyUnchanged) throws CniException {
    Set<String> occupied = new HashSet<>();
    while (!handles.isEmpty()) {
      deadline.check("addresses were released");
      var changes = new BlockChanges(store, view, deadline);
      var txn = new Txn();
      for (Map.Entry<String, Handle> it : handles.entrySet()) {
        Handle handle = it.getValue();
        txn.require(it.getKey(), handle.modRevision())
            .then(new Op.Delete(it.getKey()))
            .otherwise(new Op.Get(it.getKey()));
        releaseOrKeep(handle, occupied, txn, changes);
      }
      changes.addTo(txn);
      registration.ifPresent(
          it -> txn.require(it.key(), it.modRevision()).otherwise(new Op.Get(it.key())));
      view.reads().forEach(txn::otherwise);
      TxnResponse response = store.commit(txn, deadline);
      if (response.succeeded()) {
        changes.written(response.header().revision());
        return handles.size();
      }
      requireRegistration(response);
      view.refresh(changes.keys(), response);
      refresh(handles, response, onlyUnchanged, occupied);
    }
    return 0;
  }

  private void requireRegistration(TxnResponse failed) throws CniException {
    if (registration.isEmpty()) {
      return;
    }
    Registration expected = registration.get();
    long found =
        failed.all().stream()
            .filter(it -> it.key().equals(expected.key()))
            .findFirst()
            .map(KeyValue::modRevision)
            .orElse(0L);
    if (found != expected.modRevision()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "%s has been written while the node was released, so it runs: stop it first"
              .formatted(expected.key()));
    }
  }

  /**
   * Releases the addresses of a handle, or keeps them for its name unless others are kept for it.
   *
   * @param occupied the keys of names for which addresses are kept
   */
  private void releaseOrKeep(Handle handle, Set<String> occupied, Txn txn, BlockChanges changes)
      throws CniException {
    Optional<String> key = handle.name().map(it -> store.keys().sticky(store.network(), it));
    if (key.isPresent() && occupied.add(key.get())) {
      txn.requireAbsent(key.get())
          .then(new Op.Put(key.get(), KeptAddresses.toJson(handle.addresses())))
          .otherwise(new Op.Get(key.get()));
      return;
    }
    for (ReservedAddress it : handle.addresses()) {
      changes.release(it);
    }
  }

  private void refresh(
      Map<String, Handle> handles,
      TxnResponse response,
      boolean onlyUnchanged,
      Set<String> occupied)
      throws CniException {
    Map<String, KeyValue> found = new HashMap<>();
    response.all().forEach(it -> found.put(it.key(), it));
    occupied.retainAll(found.keySet());
    for (String key : new ArrayList<>(handles.keySet())) {
      Handle known = handles.get(key);
      KeyValue stored = found.get(key);
      if (known != null && stored != null && stored.modRevision() == known.modRevision()) {
        continue;
      }
      if (known == null || stored == null || onlyUnchanged) {
        handles.remove(key);
      } else {
        handles.put(key, Handle.parse(known.attachment(), known.node(), stored));
      }
    }
  }
}
