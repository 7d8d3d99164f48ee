package cni.api;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * The context of a call to a plugin, the same for every verb.
 *
 * @param hostNamespace the path of the host's network namespace, in which the plugin makes
 *     host-side changes; absent for the namespace of this process
 * @param allowsHostNamespace whether the container's namespace may be the host's, which is
 *     otherwise an error (CNI_NETNS_OVERRIDE)
 * @param deadline the time by which the call must have ended
 * @param delegates finds the plugins that this plugin delegates to
 * @param trace the trace that the call belongs to
 */
public record CallContext(
    Optional<Path> hostNamespace,
    boolean allowsHostNamespace,
    Deadline deadline,
    Delegates delegates,
    TraceContext trace) {
  /** Time for undoing a failed operation, independent of the operation's own, expired deadline. */
  private static final Duration CLEANUP_TIMEOUT = Duration.ofSeconds(30);

  /** Creates a context without a trace, for a container outside the host's namespace. */
  public CallContext(Optional<Path> hostNamespace, Deadline deadline, Delegates delegates) {
    this(hostNamespace, false, deadline, delegates, TraceContext.NONE);
  }

  /** Returns a copy with a separate deadline, for undoing a failed operation. */
  public CallContext forCleanup() {
    Deadline cleanup = Deadline.after(CLEANUP_TIMEOUT);
    return new CallContext(hostNamespace, allowsHostNamespace, cleanup, delegates, trace);
  }
}
