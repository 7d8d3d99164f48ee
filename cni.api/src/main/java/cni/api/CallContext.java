package cni.api;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * What surrounds a call to a plugin, whatever the verb.
 *
 * @param hostNamespace the path of the network namespace in which the plugin does the host's side
 *     of its work; absent for the one that this process is in
 * @param deadline when the call must have ended
 * @param delegates the way to other plugins
 */
public record CallContext(Optional<Path> hostNamespace, Deadline deadline, Delegates delegates) {
  /** As long as cleaning up may take: it must not fail because the operation took too long. */
  private static final Duration CLEANUP_PATIENCE = Duration.ofSeconds(30);

  /** The same with a deadline of its own, for taking back what a failed operation did. */
  public CallContext forCleanup() {
    return new CallContext(hostNamespace, Deadline.after(CLEANUP_PATIENCE), delegates);
  }
}
