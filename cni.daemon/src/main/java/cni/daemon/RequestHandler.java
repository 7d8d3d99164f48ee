// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.io.PrintStream;
import java.util.Optional;

/** Serves requests, each on a thread of its own. */
@FunctionalInterface
public interface RequestHandler {
  /**
   * Returns why the caller has to serve a request itself; empty if the host can. Called by the
   * server's thread, and quick.
   */
  default Optional<String> objection(CallerRequest request) {
    return Optional.empty();
  }

  /**
   * Serves a request. The thread is interrupted when the caller has gone or the host has to end.
   *
   * @param out the caller's standard output
   * @param err the caller's standard error
   * @return the exit status
   */
  int handle(CallerRequest request, PrintStream out, PrintStream err);
}
