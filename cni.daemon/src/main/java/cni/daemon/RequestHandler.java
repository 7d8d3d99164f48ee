package cni.daemon;

import java.io.PrintStream;

/** Serves requests, each on a thread of its own. */
@FunctionalInterface
public interface RequestHandler {
  /**
   * Serves a request. The thread is interrupted when the caller has gone or the host has to end.
   *
   * @param out the caller's standard output
   * @param err the caller's standard error
   * @return the exit status
   */
  int handle(CallerRequest request, PrintStream out, PrintStream err);
}
