// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.plugins.etcd.ClientLog.Operation;
import cni.plugins.etcd.ClientLog.Outcome;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/**
 * A node whose calls are recorded. A call may end with code 11 (try again later); any other error
 * is a failure of the test.
 *
 * @param node the node
 * @param log the log
 */
record LoggedNode(TestNode node, ClientLog log) {
  /** The start of the message of an ADD that has found no free address and changed nothing. */
  private static final String EXHAUSTED = "no address is free in range set";

  String name() {
    return node.name();
  }

  /** Returns the name of a container's handle in the log. */
  String handle(String container) {
    return ClientLog.handle(TestNode.NETWORK, name(), container, "eth0");
  }

  Outcome add(String container) {
    return add(container, Map.of());
  }

  /** Adds a container with CNI_ARGS. */
  Outcome add(String container, Map<String, String> args) {
    return run(Operation.ADD, container, () -> node.add(container, args));
  }

  Outcome delete(String container) {
    return run(
        Operation.DEL,
        container,
        () -> {
          node.delete(container);
          return List.of();
        });
  }

  private interface Call {
    List<String> run() throws CniException;
  }

  private Outcome run(Operation operation, String container, Call call) {
    ClientLog.Call entry = log.begin(operation, handle(container));
    try {
      entry.succeeded(call.run());
      return Outcome.SUCCESS;
    } catch (CniException e) {
      requireTemporary(e);
      if (e.getMessage().startsWith(EXHAUSTED)) {
        entry.failed(e.getMessage());
        return Outcome.FAILED;
      }
      entry.unknown(e.getMessage());
      return Outcome.UNKNOWN;
    }
  }

  private static void requireTemporary(CniException e) {
    if (!e.is(ErrorCode.TRY_AGAIN_LATER)) {
      throw new AssertionError("code " + e.code(), e);
    }
  }

  /**
   * Releases what these containers do not hold. This is not recorded: it does not concern a
   * container that an ADD has returned and that no DEL was called for.
   *
   * @return whether it succeeded
   */
  boolean gc(Collection<String> valid) {
    try {
      node.gc(valid.toArray(String[]::new));
      return true;
    } catch (CniException e) {
      requireTemporary(e);
      return false;
    }
  }
}
