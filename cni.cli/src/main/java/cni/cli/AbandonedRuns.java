package cni.cli;

import cni.api.CniException;
import cni.api.internal.IoErrors;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NamespaceOwnership;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import java.io.IOException;

/** What a {@code cni run} leaves if it is killed: its namespace and attachments. */
final class AbandonedRuns {
  /** Precedes the names of the namespaces, which are also the container ids. */
  static final String PREFIX = "cni-run-";

  private AbandonedRuns() {}

  /**
   * Removes the namespaces of killed runs, the processes in them, and their attachments in this
   * cache. Failures are printed on standard error.
   */
  static void remove(Cni cni) {
    try {
      for (String id : NamespaceOwnership.abandoned(PREFIX)) {
        remove(id, cni);
      }
    } catch (IOException e) {
      printFailure(NetNs.RUN_DIRECTORY.toString(), IoErrors.describe(e));
    }
  }

  private static void remove(String id, Cni cni) throws IOException {
    try (NetNs netns = NetNs.open(NetNs.pathOf(id))) {
      NamespacePaths.killProcessesIn(netns.identity());
    } catch (KernelException e) {
      return; // another process is removing it
    }
    try {
      for (CachedAttachment cached : cni.attachments(id)) {
        cni.network(cached.network()).delete(cached.attachment());
      }
    } catch (CniException e) {
      printFailure(id, e.getMessage());
    } finally {
      NetNs.delete(id);
    }
  }

  private static void printFailure(String what, String reason) {
    System.err.println("cni: removing what a killed cni run left, " + what + ": " + reason);
  }
}
