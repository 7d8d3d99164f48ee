package cni.api;

import java.io.Closeable;

/**
 * Something that notices what happens to attachments, without being a plugin. A module that has one
 * says {@code provides cni.api.EventSource with …}. It costs nothing as long as nobody listens.
 */
public interface EventSource {
  /**
   * Begins to watch, when the first listener comes, and publishes to the host.
   *
   * @return ends it: called when the last listener has gone
   * @throws CniException if it cannot; the others watch all the same
   */
  Closeable open(PluginHost host) throws CniException;
}
