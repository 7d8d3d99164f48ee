// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NullChecks;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
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
 * @param lockFile a file on which each executable that is run for the call holds a shared flock(2)
 *     as long as it runs, if the file exists; a process that takes over the attachment after this
 *     one has died waits for the lock. Absent if nothing waits.
 * @param laterPlugins the configurations of the plugins that follow in the chain; absent if they
 *     are not known: an executable does not know them
 */
public record CallContext(
    Optional<Path> hostNamespace,
    boolean allowsHostNamespace,
    Deadline deadline,
    Delegates delegates,
    TraceContext trace,
    Optional<Path> lockFile,
    Optional<List<PluginConfig>> laterPlugins) {
  /** Checks that no argument is null. */
  public CallContext {
    requireNonNull(hostNamespace, "hostNamespace");
    requireNonNull(deadline, "deadline");
    requireNonNull(delegates, "delegates");
    requireNonNull(trace, "trace");
    requireNonNull(lockFile, "lockFile");
    requireNonNull(laterPlugins, "laterPlugins");
  }

  /** How long undoing a failed operation may take beyond the operation's deadline. */
  private static final Duration CLEANUP_GRACE = Duration.ofSeconds(10);

  /** How long undoing a failed operation may take even if the operation's deadline is far away. */
  private static final Duration MAX_CLEANUP_TIME = Duration.ofSeconds(30);

  /** Creates a context in which the later plugins of the chain are not known. */
  public CallContext(
      Optional<Path> hostNamespace,
      boolean allowsHostNamespace,
      Deadline deadline,
      Delegates delegates,
      TraceContext trace,
      Optional<Path> lockFile) {
    this(
        hostNamespace, allowsHostNamespace, deadline, delegates, trace, lockFile, Optional.empty());
  }

  /** Creates a context without a trace, for a container outside the host's namespace. */
  public CallContext(Optional<Path> hostNamespace, Deadline deadline, Delegates delegates) {
    this(hostNamespace, false, deadline, delegates, TraceContext.NONE);
  }

  /** Creates a context without a lock file. */
  public CallContext(
      Optional<Path> hostNamespace,
      boolean allowsHostNamespace,
      Deadline deadline,
      Delegates delegates,
      TraceContext trace) {
    this(hostNamespace, allowsHostNamespace, deadline, delegates, trace, Optional.empty());
  }

  /**
   * Returns a copy with a separate deadline, for undoing a failed operation: what is left of the
   * operation's time, but at least 10 and at most 30 seconds from now. A failed ADD is undone first
   * by the plugin that failed and then by the runtime, with such a context each: it ends at most 20
   * seconds after its deadline if every plugin keeps the deadline that it is given.
   */
  public CallContext forCleanup() {
    Duration left = deadline.remaining();
    Duration time = left.compareTo(MAX_CLEANUP_TIME) < 0 ? left : MAX_CLEANUP_TIME;
    return withDeadline(Deadline.after(time.compareTo(CLEANUP_GRACE) < 0 ? CLEANUP_GRACE : time));
  }

  /** Returns a copy with another deadline. */
  public CallContext withDeadline(Deadline other) {
    requireNonNull(other, "other");
    return new CallContext(
        hostNamespace, allowsHostNamespace, other, delegates, trace, lockFile, laterPlugins);
  }

  /** Returns a copy with other delegates. */
  public CallContext withDelegates(Delegates other) {
    requireNonNull(other, "other");
    return new CallContext(
        hostNamespace, allowsHostNamespace, deadline, other, trace, lockFile, laterPlugins);
  }

  /** Returns a copy with a lock file. */
  public CallContext withLockFile(Path file) {
    requireNonNull(file, "file");
    return new CallContext(
        hostNamespace,
        allowsHostNamespace,
        deadline,
        delegates,
        trace,
        Optional.of(file),
        laterPlugins);
  }

  /** Returns a copy with the configurations of the plugins that follow in the chain. */
  public CallContext withLaterPlugins(List<PluginConfig> plugins) {
    NullChecks.requireElements(plugins, "plugins");
    return new CallContext(
        hostNamespace,
        allowsHostNamespace,
        deadline,
        delegates,
        trace,
        lockFile,
        Optional.of(List.copyOf(plugins)));
  }

  /**
   * Returns whether a later plugin of the chain may set what a key of this plugin's configuration
   * sets: whether its configuration has a key of that name, at any depth. True if the later plugins
   * are not known.
   */
  public boolean mayBeSetLater(String key) {
    requireNonNull(key, "key");
    return laterPlugins.isEmpty()
        || laterPlugins.get().stream().anyMatch(it -> it.json().findValue(key) != null);
  }
}
