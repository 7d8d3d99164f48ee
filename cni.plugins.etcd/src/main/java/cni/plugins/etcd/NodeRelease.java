// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.Names;
import cni.plugins.etcd.HandleRelease.Registration;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Releases what a node holds that does not exist any more. First marks its registration, which
 * every ADD of the node compares: should it still run, it assigns nothing from then on until it has
 * registered again. The registration is deleted last, so that an interrupted release is known and
 * can be repeated.
 */
final class NodeRelease {
  private final EtcdStore store;
  private final Deadline deadline;

  /**
   * Creates a release.
   *
   * @param store any network of the store
   */
  NodeRelease(EtcdStore store, Deadline deadline) {
    this.store = store;
    this.deadline = deadline;
  }

  /**
   * Releases all addresses of a node, in all networks of the store.
   *
   * @param force whether to do so even if the node may run
   * @return the number of attachments
   * @throws CniException code 4 if the node is not known, or not known to be gone; otherwise as
   *     EtcdClient throws
   */
  int release(String node, boolean force) throws CniException {
    if (!Names.isIdentifier(node)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          Json.quote(node) + " is no node: see the nodes in \"cni ipam show\"");
    }
    OptionalLong marked = mark(node, force);
    int released = 0;
    boolean isKnown = marked.isPresent();
    for (String network : networks()) {
      EtcdStore ofNode = store.of(node, network);
      List<Handle> handles = ofNode.readHandles(deadline);
      if (marked.isEmpty() && !force && !handles.isEmpty()) {
        throw mayRun(node, "it is not registered");
      }
      isKnown |= !handles.isEmpty();
      var view = new StoreView(ofNode);
      released +=
          new HandleRelease(ofNode, view, deadline)
              .whileUnchanged(new Registration(store.keys().node(node), marked.orElse(0)))
              .releaseUnchanged(handles);
      isKnown |= new LeakedReservations(ofNode, view, deadline).release() > 0;
    }
    if (!isKnown) {
      List<String> nodes = nodes();
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "no node has the name %s; there are: %s"
              .formatted(node, nodes.isEmpty() ? "none" : String.join(", ", nodes)));
    }
    if (marked.isPresent()) {
      String key = store.keys().node(node);
      store.commit(new Txn().require(key, marked.getAsLong()).then(new Op.Delete(key)), deadline);
    }
    return released;
  }

  /**
   * Marks the registration, unless an interrupted release has done so.
   *
   * @return the revision of the mark; absent if there is no registration
   */
  private OptionalLong mark(String node, boolean force) throws CniException {
    String key = store.keys().node(node);
    while (true) {
      deadline.check("the node was released");
      Optional<KeyValue> stored = store.commit(Txn.read(new Op.Get(key)), deadline).get(0);
      if (stored.isEmpty()) {
        if (!force && !names(store.keys().alive(node)).isEmpty()) {
          throw isRunning(node);
        }
        return OptionalLong.empty();
      }
      NodeRecord registration = NodeRecord.parse(stored.get());
      if (registration.isReleased()) {
        return OptionalLong.of(stored.get().modRevision());
      }
      if (!force && !registration.hasHost()) {
        throw mayRun(node, "it has no resident host (cni serve)");
      }
      String released = registration.with(NodeRecord.State.RELEASED).toJson();
      Txn mark = new Txn().require(key, stored.get().modRevision()).then(new Op.Put(key, released));
      if (!force) {
        String alive = store.keys().alive(node);
        mark.requireNone(alive).otherwise(Op.GetPrefix.keys(alive));
      }
      TxnResponse response = store.commit(mark, deadline);
      if (response.succeeded()) {
        return OptionalLong.of(response.header().revision());
      }
      if (!response.all().isEmpty()) {
        throw isRunning(node);
      }
    }
  }

  private static CniException mayRun(String node, String why) {
    return new CniException(
        ErrorCode.INVALID_PARAMETER,
        "it is not known whether node %s is gone, as %s: make sure that it is, and use --force"
            .formatted(node, why));
  }

  private static CniException isRunning(String node) {
    return new CniException(
        ErrorCode.INVALID_PARAMETER,
        "node %s is running: its resident host has a lease in etcd. Stop it first; after that the"
                .formatted(node)
            + " lease ends within half a minute. Or use --force");
  }

  private List<String> networks() throws CniException {
    return names(store.keys().networks());
  }

  private List<String> nodes() throws CniException {
    return names(store.keys().nodes());
  }

  private List<String> names(String prefix) throws CniException {
    List<String> names = new ArrayList<>();
    for (KeyValue it : store.client().list(prefix, true, deadline).keys()) {
      names.add(it.key().substring(prefix.length()));
    }
    return names;
  }
}
