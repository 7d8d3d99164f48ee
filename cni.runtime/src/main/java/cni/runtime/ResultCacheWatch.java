// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.PluginEvent;
import cni.api.PluginEvent.Kind;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.InotifyWatch;
import cni.netlink.ffm.unix.SocketPoller;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * Publishes the ADDs, updates and DELs of all processes that use a cache: those that change its
 * files, inotify(7). A change that leaves an entry as it was is not published.
 */
final class ResultCacheWatch implements Closeable {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");
  private static final String SOURCE = "cache";
  private static final long WATCH_NUMBER = 0;

  private final ResultCache cache;
  private final Path directory;
  private final Consumer<PluginEvent> publisher;
  private final SocketPoller poller;
  private final Thread thread;
  private InotifyWatch watch;
  private volatile boolean closed;

  /** What was stored last, by file name. */
  private Map<String, Entry> known;

  /**
   * What is remembered of an entry.
   *
   * @param configuration the hash of the configuration and the arguments
   * @param result the hash of the result
   */
  private record Entry(String network, AttachmentId id, int configuration, int result) {}

  private ResultCacheWatch(
      ResultCache cache, Consumer<PluginEvent> publisher, SocketPoller poller, InotifyWatch watch)
      throws CniException {
    this.cache = cache;
    this.directory = cache.directory();
    this.publisher = publisher;
    this.poller = poller;
    this.watch = watch;
    this.known = readAll();
    this.thread = Thread.ofPlatform().name("cni cache events").daemon().start(this::run);
  }

  /**
   * Starts to watch. The directory is created if it does not exist, as by the first ADD.
   *
   * @throws CniException code 5 if it cannot be watched
   */
  static ResultCacheWatch start(ResultCache cache, Consumer<PluginEvent> publisher)
      throws CniException {
    Path directory = cache.directory();
    try {
      SocketPoller poller = SocketPoller.open();
      try {
        return new ResultCacheWatch(cache, publisher, poller, open(directory, poller));
      } catch (IOException | CniException | RuntimeException e) {
        poller.close();
        throw e;
      }
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, directory + " cannot be watched: " + IoErrors.reason(e), e);
    }
  }

  private static InotifyWatch open(Path directory, SocketPoller poller) throws IOException {
    AtomicFiles.createDirectories(directory);
    InotifyWatch watch = InotifyWatch.open(directory);
    try {
      poller.add(watch, WATCH_NUMBER);
      return watch;
    } catch (KernelException | RuntimeException e) {
      watch.close();
      throw e;
    }
  }

  private void run() {
    try {
      while (!closed) {
        poller.await(Optional.empty());
        Optional<Set<String>> changes = watch.pollChanges();
        if (closed) {
          return;
        }
        if (changes.isPresent()) {
          changes.get().forEach(this::publishChange);
        } else {
          reopen();
        }
      }
    } catch (IOException | CniException e) {
      if (!closed) {
        LOG.get().log(System.Logger.Level.WARNING, "no more events of the cache", e);
        publishLost("ADD, update and DEL are no longer reported: " + e.getMessage());
      }
    }
  }

  /** Compares all entries, after the directory was replaced or the kernel's queue overflowed. */
  private void reopen() throws IOException, CniException {
    watch.close();
    watch = open(directory, poller);
    Map<String, Entry> before = known;
    Map<String, Entry> now = readAll();
    known = new HashMap<>(before);
    before.keySet().stream().filter(it -> !now.containsKey(it)).forEach(this::publishChange);
    now.keySet().forEach(this::publishChange);
    publishLost("changes of " + directory + " in between may be missing");
  }

  private void publishLost(String message) {
    publisher.accept(PluginEvent.now(Kind.EVENTS_LOST, SOURCE, "", Optional.empty(), message));
  }

  private Map<String, Entry> readAll() throws CniException {
    Map<String, Entry> entries = new HashMap<>();
    for (CachedAttachment it : cache.list(Optional.empty())) {
      entries.put(CacheDirectory.fileName(it.network(), it.attachment().id()), entry(it));
    }
    return entries;
  }

  private static Entry entry(CachedAttachment cached) {
    var attachment = cached.attachment();
    int configuration = cached.configText().hashCode() + 31 * attachment.hashCode();
    return new Entry(
        cached.network(), attachment.id(), configuration, cached.resultJson().hashCode());
  }

  private void publishChange(String file) {
    Optional<CachedAttachment> stored;
    try {
      Optional<ObjectNode> json = CacheDirectory.read(directory.resolve(file));
      stored = json.flatMap(ResultCacheEntry::read);
      if (json.isPresent() && stored.isEmpty()) {
        return; // no entry
      }
    } catch (CniException e) {
      return; // incomplete: libcni writes in place, and another change follows
    }
    @Nullable Entry before = known.get(file);
    if (stored.isEmpty()) {
      known.remove(file);
      if (before != null) {
        publish(Kind.DELETED, before, "the attachment was deleted");
      }
      return;
    }
    Entry now = entry(stored.get());
    known.put(file, now);
    if (before == null) {
      publish(Kind.ADDED, now, "the attachment was added: " + describe(stored.get()));
    } else if (!before.equals(now)) {
      publish(Kind.UPDATED, now, describeUpdate(before, now) + ": " + describe(stored.get()));
    }
  }

  private void publish(Kind kind, Entry entry, String message) {
    publisher.accept(
        PluginEvent.now(kind, SOURCE, entry.network(), Optional.of(entry.id()), message));
  }

  private static String describeUpdate(Entry before, Entry now) {
    return before.configuration() == now.configuration()
        ? "the result has changed"
        : "the configuration or its arguments have changed";
  }

  /** Returns the addresses and the namespace of an attachment. */
  private static String describe(CachedAttachment cached) {
    String addresses;
    try {
      addresses =
          cached.result().ips().stream()
              .map(it -> it.address().toString())
              .collect(Collectors.joining(" "));
    } catch (CniException e) {
      addresses = "";
    }
    String namespace = cached.attachment().namespace().map(it -> " in " + it).orElse("");
    return (addresses.isEmpty() ? "no addresses" : addresses) + namespace;
  }

  @Override
  public void close() {
    closed = true;
    try {
      poller.wakeUp();
      thread.join();
    } catch (KernelException e) {
      LOG.get().log(System.Logger.Level.WARNING, "the watch of the cache does not end", e);
      return;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return; // the thread is a daemon and ends by itself
    }
    watch.close();
    poller.close();
  }
}
