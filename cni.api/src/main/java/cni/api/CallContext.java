package cni.api;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * What surrounds a call to a plugin, whatever the verb.
 *
 * @param hostNamespace the path of the network namespace in which the plugin does the host's side
 *     of its work; absent for the one that this process is in
 * @param allowsHostNamespace whether the container's namespace may be the host's, which otherwise
 *     is a mistake (CNI_NETNS_OVERRIDE)
 * @param deadline when the call must have ended
 * @param delegates the way to other plugins
 * @param trace the trace that the call belongs to
 */
public record CallContext(
    Optional<Path> hostNamespace,
    boolean allowsHostNamespace,
    Deadline deadline,
    Delegates delegates,
    TraceContext trace) {
  /** As long as cleaning up may take: it must not fail because the operation took too long. */
  private static final Duration CLEANUP_TIMEOUT = Duration.ofSeconds(30);

  /** A call that is not traced, to a container that is not the host. */
  public CallContext(Optional<Path> hostNamespace, Deadline deadline, Delegates delegates) {
    this(hostNamespace, false, deadline, delegates, TraceContext.NONE);
  }

  /** The same with a deadline of its own, for taking back what a failed operation did. */
  public CallContext forCleanup() {
    Deadline own = Deadline.after(CLEANUP_TIMEOUT);
    return new CallContext(hostNamespace, allowsHostNamespace, own, delegates, trace);
  }
}
