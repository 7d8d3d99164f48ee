// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NullChecks;
import java.io.Closeable;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** The services of a host process for resident plugins and event sources. */
public interface PluginHost {
  /**
   * Returns the directory for state that must outlive the host. It may not exist yet, and other
   * hosts may use it at the same time.
   */
  Path stateDirectory();

  /** Returns the path of the host's network namespace; absent for the one of this process. */
  Optional<Path> hostNamespace();

  /**
   * Returns whether this process also runs the {@link PluginDaemon} of each plugin, as a host that
   * serves the callers of executables does. A plugin then leaves its work between operations to its
   * daemon, and no other files than an executable would. By default false.
   */
  default boolean runsDaemons() {
    return false;
  }

  /**
   * Publishes an event to all listeners. Does not block or fail: if a listener does not keep up,
   * its events are dropped, which is logged.
   */
  void publish(PluginEvent event);

  /**
   * Returns every attachment recorded in {@link #stateDirectory}, of all networks and by all hosts.
   *
   * @throws CniException code 5 if they cannot be read
   */
  List<ActiveAttachment> attachments() throws CniException;

  /**
   * Registers an action that runs whenever {@link #attachments} may have changed, while there are
   * listeners of events. It must not block. By default it never runs.
   *
   * @return removes the action; it may still be running on another thread
   */
  default Closeable onAttachmentsChanged(Runnable action) {
    requireNonNull(action, "action");
    return () -> {};
  }

  /**
   * An attachment that was added and not deleted.
   *
   * @param network the network's name
   * @param attachment the attachment; without a namespace if an old libcni recorded it
   * @param result the final result of its ADD
   * @param plugins the requests' configurations of the plugins that made it; empty if the
   *     configuration was not recorded
   */
  record ActiveAttachment(
      String network, Attachment attachment, Result result, List<PluginConfig> plugins) {
    /** Checks that no argument is null, and copies the list. */
    public ActiveAttachment {
      requireNonNull(network, "network");
      requireNonNull(attachment, "attachment");
      requireNonNull(result, "result");
      plugins = NullChecks.copyOf(plugins, "plugins");
    }
  }
}
