// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Json;
import cni.api.internal.LazyLogger;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Follows the keys that begin with a prefix. Reconnects after failures, from the revision that it
 * has seen; if etcd has compacted that one, everything is read again.
 */
public final class EtcdWatch implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private static final Duration OPEN_TIMEOUT = Duration.ofSeconds(10);

  /** The pause after a failure, in milliseconds. */
  private static final int MIN_PAUSE = 200;

  private static final int MAX_PAUSE = 1000;

  private final EtcdClient client;
  private final String prefix;
  private final Listener listener;
  private final Thread thread;

  /** The last revision that has been seen; 0 to read all keys. Only used by the thread. */
  private long seen;

  /** Guarded by this. */
  private @Nullable InputStream stream;

  private boolean isClosed;
  private boolean mustReload;

  private EtcdWatch(EtcdClient client, String prefix, Listener listener) {
    this.client = client;
    this.prefix = prefix;
    this.listener = listener;
    thread = Thread.ofVirtual().name("cni-etcd-watch " + prefix).unstarted(this::run);
  }

  /** What follows the keys. Its methods are called by one thread. */
  public interface Listener {
    /**
     * Reads all keys.
     *
     * @return the revision at which they were read
     * @throws CniException if that fails; it is tried again
     */
    long load() throws CniException;

    /** Takes the changes of one or several revisions, in their order. */
    void apply(List<Change> changes);
  }

  /**
   * A change of a key.
   *
   * @param key the key
   * @param value its new value; absent if it has been deleted
   * @param revision the revision of the change
   */
  public record Change(String key, Optional<KeyValue> value, long revision) {}

  /** Starts to follow keys, in the background. */
  public static EtcdWatch start(EtcdClient client, String prefix, Listener listener) {
    var watch = new EtcdWatch(client, prefix, listener);
    watch.thread.start();
    return watch;
  }

  private void run() {
    while (!isClosed()) {
      try {
        if (seen == 0) {
          seen = listener.load();
        }
        follow();
        if (mustReload()) {
          seen = 0;
        }
      } catch (CniException e) {
        LOG.get().log(System.Logger.Level.DEBUG, "the watch of " + prefix + " reconnects", e);
      } catch (RuntimeException e) {
        LOG.get().log(System.Logger.Level.WARNING, "the watch of " + prefix + " starts again", e);
        seen = 0;
      }
      pause();
    }
  }

  /** Reads changes until the connection ends. */
  private void follow() throws CniException {
    try (InputStream in = client.openWatch(prefix, seen + 1, Deadline.after(OPEN_TIMEOUT))) {
      if (!keep(in)) {
        return;
      }
      var lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        JsonNode result = Json.parse(line, "a change of etcd").path("result");
        if (result.path("canceled").asBoolean(false)) {
          seen = 0;
          return;
        }
        List<Change> changes = changes(result);
        if (!changes.isEmpty()) {
          listener.apply(changes);
          seen = changes.getLast().revision();
        }
      }
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "the watch of " + prefix + " has ended", e);
    }
  }

  private static List<Change> changes(JsonNode result) throws CniException {
    List<Change> changes = new ArrayList<>();
    for (JsonNode event : result.path("events")) {
      KeyValue value = EtcdClient.keyValue(event.path("kv"));
      boolean isDeleted = "DELETE".equals(event.path("type").asString(""));
      changes.add(
          new Change(
              value.key(), isDeleted ? Optional.empty() : Optional.of(value), value.modRevision()));
    }
    return changes;
  }

  /** Keeps the stream, to end it; returns false if it has to end at once. */
  private synchronized boolean keep(InputStream in) {
    stream = in;
    return !isClosed && !mustReload;
  }

  private synchronized boolean mustReload() {
    boolean must = mustReload;
    mustReload = false;
    return must;
  }

  private synchronized boolean isClosed() {
    return isClosed;
  }

  private static void pause() {
    try {
      Thread.sleep(ThreadLocalRandom.current().nextLong(MIN_PAUSE, MAX_PAUSE));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Connects again, for a connection that may be dead without an error. */
  public synchronized void reconnect() {
    closeStream();
  }

  /** Reads all keys again, because the revisions are others than before. */
  public synchronized void restart() {
    mustReload = true;
    closeStream();
  }

  private void closeStream() {
    InputStream open = stream;
    stream = null;
    if (open != null) {
      try {
        open.close();
      } catch (IOException e) {
        LOG.get().log(System.Logger.Level.DEBUG, "a watch cannot be closed", e);
      }
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      isClosed = true;
      closeStream();
    }
    thread.interrupt();
  }
}
