// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.internal.IoErrors;
import cni.netlink.ffm.netns.NamespaceOwnership;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.io.IOException;
import java.util.Optional;

/** What a {@code cni run} leaves if it is killed: its namespace and attachments. */
final class AbandonedRuns {
  /** Precedes the names of the namespaces, which are also the container ids. */
  static final String PREFIX = "cni-run-";

  private AbandonedRuns() {}

  /**
   * Removes the namespaces of killed runs, the processes in them, and their attachments in this
   * cache. Failures are printed on standard error. A namespace that is still attached is kept: its
   * name is the only trace of attachments that could not be deleted or are in another cache.
   */
  static void remove(Cni cni) {
    remove(PREFIX, cni);
  }

  /** Removes the runs whose names have a prefix. */
  static void remove(String prefix, Cni cni) {
    try {
      for (String id : NamespaceOwnership.abandoned(prefix)) {
        tryRemove(id, cni);
      }
    } catch (IOException e) {
      printFailure(NetNs.RUN_DIRECTORY.toString(), IoErrors.describe(e));
    }
  }

  private static void tryRemove(String id, Cni cni) {
    try {
      remove(id, NetNs.openIfPresent(NetNs.pathOf(id)), cni);
    } catch (CniException e) {
      printFailure(id, e.getMessage() + "; the namespace is kept until this succeeds");
    } catch (IOException e) {
      printFailure(id, IoErrors.describe(e));
    }
  }

  private static void remove(String id, Optional<NetNs> namespace, Cni cni)
      throws CniException, IOException {
    if (namespace.isPresent()) { // otherwise the run was killed before it mounted the namespace
      try (NetNs netns = namespace.get()) {
        NamespacePaths.killProcessesIn(netns.identity());
        deleteAttachments(id, cni);
        Optional<String> left = attachedInterface(netns);
        if (left.isPresent()) {
          printFailure(
              id,
              "%s is attached, but not in this cache; the namespace is kept: use the --cache of that run, or \"ip netns del\""
                  .formatted(left.get()));
          return;
        }
      }
    }
    NetNs.delete(id);
  }

  private static void deleteAttachments(String id, Cni cni) throws CniException {
    CniException failure = null;
    for (CachedAttachment cached : cni.attachments(id)) {
      try {
        network(cached, cni).delete(cached.attachment());
      } catch (CniException e) {
        failure = e;
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  /** Returns the network as it was when the run attached to it: it may have been removed since. */
  private static Network network(CachedAttachment cached, Cni cni) throws CniException {
    return cached.configText().isEmpty()
        ? cni.network(cached.network())
        : cni.network(cached.config());
  }

  private static Optional<String> attachedInterface(NetNs netns) throws IOException {
    try (RouteSocket routing = RouteSocket.open(netns)) {
      return routing.links().stream()
          .map(Link::name)
          .filter(name -> name.matches("eth\\d+")) // as "cni run" names them
          .findFirst();
    }
  }

  private static void printFailure(String what, String reason) {
    Invocation.standardError()
        .println("cni: removing what a killed cni run left, " + what + ": " + reason);
  }
}
