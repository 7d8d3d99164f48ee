// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.NetlinkException;
import cni.plugins.support.NetNsSession;
import cni.policy.file.PolicyFiles;
import cni.policy.file.PolicyReader;
import cni.policy.file.Problem;
import cni.policy.tables.ConnectionCut;
import cni.policy.tables.PolicyTables;
import cni.policy.tables.StateChange;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/**
 * What is in force on a host, under the lock of its data directory. The directory and the kernel
 * change together: a failure leaves both as they were; if the process is killed, the next change
 * brings the kernel to what the directory says.
 */
final class HostState implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.policy");

  private final PolicyDirectories directories;
  private final NetNsSession host;
  private final PolicyStore store;
  private final HostAttachments attachments;

  private HostState(PolicyDirectories directories, NetNsSession host, PolicyStore store) {
    this.directories = directories;
    this.host = host;
    this.store = store;
    this.attachments = new HostAttachments(host);
  }

  /**
   * Waits for the lock.
   *
   * @throws CniException code 11 if others hold it until the deadline; code 5 if the directory
   *     cannot be used
   */
  static HostState lock(PolicyDirectories directories, NetNsSession host, Deadline deadline)
      throws CniException {
    return new HostState(directories, host, PolicyStore.lock(directories.data(), deadline));
  }

  /**
   * Requires that the directory has the attachments of this host.
   *
   * @throws CniException code 7 if not
   */
  void requireOwn() throws CniException {
    store.requireHost(host.hostIdentity());
  }

  /** Returns the state that the directory has. */
  PolicyState present() {
    return store.state();
  }

  /** Returns whether it is known which policies are in force, be it none. */
  boolean hasPolicies() {
    return store.hasPolicies();
  }

  /** Returns whether the kernel may have something else than the state. */
  boolean isUnfinished() {
    return store.isUnfinished();
  }

  PolicyTables tables() throws IOException {
    return new PolicyTables(host.nftables(), directories.data());
  }

  /**
   * Returns what is in force. If that is not known, which is so before the first change since the
   * machine started, the directory of policies is put in force before anything else.
   *
   * @throws CniException code 7 if a file of that is invalid
   */
  PolicyState begin() throws CniException, IOException {
    PolicyState state = recovered();
    if (store.hasPolicies()) {
      return state;
    }
    PolicyState first = state.withPolicies(firstPolicies());
    store.begin();
    store.put(first, StateChange.between(state, first), host.hostIdentity());
    return first;
  }

  /** Reads the directory for the first attachment: a file that cannot be read may restrict it. */
  private List<Policy> firstPolicies() throws CniException {
    PolicyFiles files = PolicyReader.readDirectory(directories.policies());
    if (!files.problems().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "no policies are in force yet, and those of "
              + directories.policies()
              + " are invalid: "
              + Problem.join(files.problems()));
    }
    return files.policies();
  }

  /**
   * Returns the state; if the directory has been lost while policies are in force, with guards for
   * the containers that the tables have: they are unreachable until they are repaired.
   */
  PolicyState recovered() throws IOException {
    PolicyState state = store.state();
    return store.hasPolicies() ? state : attachments.recovered(state, tables());
  }

  /** Changes the kernel and the directory from one state to another. */
  void change(PolicyState before, PolicyState after) throws CniException, IOException {
    boolean isKnown = !store.isUnfinished();
    var change = StateChange.between(before, after);
    store.begin();
    boolean isApplied = isKnown && applyDifference(before, after, change);
    if (!isApplied) {
      tables().synchronize(after);
    }
    put(after, before.equals(store.state()) ? change : StateChange.between(store.state(), after));
    finish(after, !isApplied || change.hasRelabelled(before, after));
  }

  /** Returns false if other programs have changed or flushed the tables. */
  private boolean applyDifference(PolicyState before, PolicyState after, StateChange change)
      throws CniException, IOException {
    try {
      tables().apply(before, after, change);
      return true;
    } catch (NetlinkException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "others have changed or flushed the tables", e);
      return false;
    }
  }

  private void put(PolicyState after, StateChange change) throws CniException, IOException {
    PolicyState before = store.state();
    try {
      store.put(after, change, host.hostIdentity());
    } catch (CniException e) {
      try {
        tables().synchronize(before);
      } catch (IOException | CniException undo) {
        e.addSuppressed(undo);
      }
      throw e;
    }
  }

  /**
   * Cuts connections, and notes that the change is finished. If that fails, the policies are in
   * force nevertheless: the next change tries again.
   */
  private void finish(PolicyState after, boolean cuts) {
    try {
      if (cuts) {
        store.putCuts(new ConnectionCut(host).apply(after, store.cuts()));
      }
      store.finish();
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "policies are in force, but replies of connections that they forbid may still pass:"
                  + " \"cni policy apply\" cuts them",
              e);
    }
  }

  /** Makes the kernel what the state says, whatever other programs have done to it. */
  void restore() throws CniException, IOException {
    boolean isKnown = !store.isUnfinished();
    PolicyState state = begin();
    for (Endpoint endpoint : state.endpoints().values()) {
      if (attachments.hasBridge(endpoint)) {
        attachments.enableBridge(endpoint);
      }
    }
    store.begin();
    tables().synchronize(state);
    if (!isKnown) {
      put(state, StateChange.between(store.state(), state));
    }
    finish(state, true); // cuts what has passed until now
  }

  /**
   * Removes attachments.
   *
   * @param removesTables whether also the tables with the guards, if no attachment is left
   */
  void remove(Predicate<Endpoint.Id> isGone, boolean removesTables)
      throws CniException, IOException {
    if (store.isUnfinished()) {
      store.begin();
      store.discard(isGone);
    }
    if (!store.hasPolicies()) {
      removeLost(removesTables);
      return;
    }
    PolicyState before = store.state();
    PolicyState after = before;
    for (Endpoint.Id id : before.endpoints().keySet()) {
      after = isGone.test(id) ? after.without(id) : after;
    }
    if (removesTables && store.attachments().stream().allMatch(isGone)) {
      after = after.withGuards(Set.of(), Set.of());
    }
    if (!after.equals(before) || store.isUnfinished()) {
      change(before, after);
    }
  }

  /**
   * Removes the tables if it is not known what is in force, and no container is known or seen. Else
   * they stay: the next attachment compares them.
   */
  private void removeLost(boolean removesTables) throws CniException, IOException {
    if (removesTables && store.attachments().isEmpty()) {
      PolicyTables tables = tables();
      if (!tables.isForeign() && attachments.lost(tables).isEmpty()) {
        tables.remove();
        store.finish();
      }
    }
  }

  /** Releases the lock. */
  @Override
  public void close() {
    store.close();
  }
}
