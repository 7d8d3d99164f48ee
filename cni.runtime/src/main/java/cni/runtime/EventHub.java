// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.EventSource;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.internal.LazyLogger;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * Delivers the events of plugins and event sources to listeners. Each listener has its own queue
 * and thread. Event sources are open while there is at least one listener.
 */
final class EventHub implements PluginHost {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** How many events a listener may fall behind before it misses some. */
  private static final int QUEUE_CAPACITY = 4096;

  private final Path stateDirectory;
  private final Optional<Path> hostNamespace;
  private final boolean runsDaemons;
  private final ResultCache cache;
  private final List<Listener> listeners = new CopyOnWriteArrayList<>();

  /** What event sources do when attachments have changed. */
  private final List<Runnable> changeActions = new CopyOnWriteArrayList<>();

  /** The event sources that are open; guarded by this. */
  private final List<Closeable> openSources = new ArrayList<>();

  /** The errors of those that could not be opened; guarded by this. */
  private final List<CniException> failures = new ArrayList<>();

  EventHub(
      Path stateDirectory, Optional<Path> hostNamespace, boolean runsDaemons, ResultCache cache) {
    this.stateDirectory = stateDirectory;
    this.hostNamespace = hostNamespace;
    this.runsDaemons = runsDaemons;
    this.cache = cache;
  }

  @Override
  public Path stateDirectory() {
    return stateDirectory;
  }

  @Override
  public Optional<Path> hostNamespace() {
    return hostNamespace;
  }

  @Override
  public boolean runsDaemons() {
    return runsDaemons;
  }

  @Override
  public void publish(PluginEvent event) {
    listeners.forEach(listener -> listener.offer(event));
    switch (event.kind()) {
      case ADDED, UPDATED, DELETED -> changeActions.forEach(Runnable::run);
      default -> {}
    }
  }

  @Override
  public Closeable onAttachmentsChanged(Runnable action) {
    changeActions.add(action);
    return () -> changeActions.remove(action);
  }

  @Override
  public List<ActiveAttachment> attachments() throws CniException {
    List<ActiveAttachment> active = new ArrayList<>();
    for (CachedAttachment it : cache.list(Optional.empty())) {
      active.add(new ActiveAttachment(it.network(), it.attachment(), it.result(), plugins(it)));
    }
    return active;
  }

  /** Returns the configurations with which plugins were called, if they are stored. */
  private static List<PluginConfig> plugins(CachedAttachment cached) {
    List<PluginConfig> plugins = new ArrayList<>();
    try {
      NetworkConfig config = cached.config();
      for (PluginConfig it : config.plugins()) {
        plugins.add(
            it.forRequest(
                cached.network(), config.version(), cached.attachment().capabilityArgs()));
      }
    } catch (CniException e) {
      LOG.get()
          .log(System.Logger.Level.DEBUG, "an attachment is listed without its configuration", e);
    }
    return plugins;
  }

  /** Adds a listener, which is removed when the subscription is closed. */
  synchronized Subscription subscribe(Consumer<PluginEvent> consumer) {
    var listener = new Listener(consumer);
    listeners.add(listener);
    if (listeners.size() == 1) {
      openSource(host -> ResultCacheWatch.start(cache, host::publish));
      ServiceLoader.load(EventSource.class, EventHub.class.getClassLoader())
          .forEach(this::openSource);
    }
    for (CniException it : failures) {
      listener.offer(eventsLost("events are missing: " + it.getMessage()));
    }
    listener.failures = List.copyOf(failures);
    return listener;
  }

  private void openSource(EventSource source) {
    try {
      openSources.add(source.open(this));
    } catch (CniException e) {
      failures.add(e);
    } catch (RuntimeException e) {
      failures.add(new CniException(ErrorCode.INTERNAL, "unexpected " + e, e));
    }
  }

  private static PluginEvent eventsLost(String message) {
    return PluginEvent.now(PluginEvent.Kind.EVENTS_LOST, "host", "", Optional.empty(), message);
  }

  /** Ends all subscriptions. */
  void close() {
    listeners.forEach(Listener::close);
  }

  private synchronized void unsubscribe(Listener listener) {
    if (listeners.remove(listener) && listeners.isEmpty()) {
      for (Closeable it : openSources) {
        try {
          it.close();
        } catch (IOException e) {
          LOG.get().log(System.Logger.Level.WARNING, "an event source cannot be closed", e);
        }
      }
      openSources.clear();
      failures.clear();
    }
  }

  private final class Listener implements Subscription {
    private final Consumer<PluginEvent> consumer;
    private final BlockingQueue<PluginEvent> queue = new LinkedBlockingQueue<>(QUEUE_CAPACITY);
    private final AtomicLong missed = new AtomicLong();
    private final Thread thread;
    private volatile List<CniException> failures = List.of();

    Listener(Consumer<PluginEvent> consumer) {
      this.consumer = consumer;
      this.thread = Thread.ofPlatform().name("cni events").daemon().start(this::run);
    }

    void offer(PluginEvent event) {
      if (!queue.offer(event) && missed.getAndIncrement() == 0) {
        LOG.get()
            .log(System.Logger.Level.WARNING, "an event listener is too slow and misses events");
      }
    }

    private void run() {
      try {
        while (true) {
          PluginEvent event = queue.take();
          long lost = missed.getAndSet(0);
          if (lost > 0) {
            deliver(eventsLost(lost + " events are lost: the listener is too slow"));
          }
          deliver(event);
        }
      } catch (InterruptedException e) {
        return; // the subscription has been closed
      }
    }

    private void deliver(PluginEvent event) {
      try {
        consumer.accept(event);
      } catch (RuntimeException e) {
        LOG.get().log(System.Logger.Level.WARNING, "an event listener failed at " + event, e);
      }
    }

    @Override
    public List<CniException> failures() {
      return failures;
    }

    @Override
    public void close() {
      unsubscribe(this);
      thread.interrupt();
    }
  }
}
