// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.api.CniException;
import cni.api.PluginHost;
import cni.api.internal.LazyLogger;
import cni.policy.PolicyDirectories;
import cni.policy.PolicyWatch;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The directories of policies that a resident process watches: those of the networks to which it
 * attaches containers, and the default ones if they are in use when it starts; but not these if it
 * runs the {@link PolicyDaemon}.
 */
final class ResidentWatches {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private final Map<PolicyDirectories, PolicyWatch> watches = new HashMap<>();
  private @Nullable PluginHost host; // absent while this process is not resident

  /** Starts to watch. */
  synchronized void start(PluginHost resident) {
    host = resident;
    if (Files.isDirectory(PolicyDirectories.DEFAULT.data())) {
      add(PolicyDirectories.DEFAULT);
    }
  }

  /** Watches directories as well, if this process is resident. */
  synchronized void add(PolicyDirectories directories) {
    PluginHost resident = host;
    boolean isDaemons =
        resident != null && resident.runsDaemons() && directories.equals(PolicyDirectories.DEFAULT);
    if (resident == null || isDaemons || watches.containsKey(directories)) {
      return;
    }
    try {
      watches.put(directories, PolicyWatch.start(directories, resident.hostNamespace()));
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "changes of policies are not noticed", e);
    }
  }

  /** Ends all watches. */
  synchronized void stop() {
    host = null;
    watches.values().forEach(PolicyWatch::close);
    watches.clear();
  }
}
