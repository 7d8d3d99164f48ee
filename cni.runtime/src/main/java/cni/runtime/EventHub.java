package cni.runtime;

import cni.api.CniException;
import cni.api.EventSource;
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
 * Takes events from plugins and sources to listeners. Each listener has a queue and a thread of its
 * own; the sources run as long as there is one.
 */
final class EventHub implements PluginHost {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** As many as a listener may be late with before it misses some. */
  private static final int QUEUE_CAPACITY = 4096;

  private final Path state;
  private final Optional<Path> hostNamespace;
  private final ResultCache cache;
  private final List<Listener> listeners = new CopyOnWriteArrayList<>();

  /** Those that run; guarded by this. */
  private final List<Closeable> openSources = new ArrayList<>();

  EventHub(Path state, Optional<Path> hostNamespace, ResultCache cache) {
    this.state = state;
    this.hostNamespace = hostNamespace;
    this.cache = cache;
  }

  @Override
  public Path stateDirectory() {
    return state;
  }

  @Override
  public Optional<Path> hostNamespace() {
    return hostNamespace;
  }

  @Override
  public void publish(PluginEvent event) {
    listeners.forEach(listener -> listener.offer(event));
  }

  @Override
  public List<ActiveAttachment> attachments() throws CniException {
    List<ActiveAttachment> kept = new ArrayList<>();
    for (CachedAttachment it : cache.list(Optional.empty())) {
      kept.add(new ActiveAttachment(it.network(), it.attachment(), it.result()));
    }
    return kept;
  }

  /** Begins to tell; ends it when what is returned is closed. */
  synchronized Subscription subscribe(Consumer<PluginEvent> consumer) {
    var listener = new Listener(consumer);
    listeners.add(listener);
    if (listeners.size() == 1) {
      ServiceLoader.load(EventSource.class, EventHub.class.getClassLoader())
          .forEach(this::openSources);
    }
    return listener;
  }

  private void openSources(EventSource source) {
    try {
      openSources.add(source.open(this));
    } catch (CniException | RuntimeException e) {
      LOG.get().log(System.Logger.Level.WARNING, "events are missing: " + e.getMessage(), e);
    }
  }

  /** Ends every subscription. */
  void close() {
    listeners.forEach(Listener::close);
  }

  private synchronized void unsubscribe(Listener listener) {
    if (listeners.remove(listener) && listeners.isEmpty()) {
      for (Closeable it : openSources) {
        try {
          it.close();
        } catch (IOException e) {
          LOG.get().log(System.Logger.Level.WARNING, "a source of events does not end well", e);
        }
      }
      openSources.clear();
    }
  }

  private final class Listener implements Subscription {
    private final Consumer<PluginEvent> consumer;
    private final BlockingQueue<PluginEvent> queue = new LinkedBlockingQueue<>(QUEUE_CAPACITY);
    private final AtomicLong missed = new AtomicLong();
    private final Thread thread;

    Listener(Consumer<PluginEvent> consumer) {
      this.consumer = consumer;
      this.thread = Thread.ofPlatform().name("cni events").daemon().start(this::run);
    }

    void offer(PluginEvent event) {
      if (!queue.offer(event) && missed.getAndIncrement() == 0) {
        LOG.get().log(System.Logger.Level.WARNING, "a listener does not keep up and misses events");
      }
    }

    private void run() {
      try {
        while (true) {
          PluginEvent event = queue.take();
          try {
            consumer.accept(event);
          } catch (RuntimeException e) {
            LOG.get().log(System.Logger.Level.WARNING, "a listener failed at " + event, e);
          }
        }
      } catch (InterruptedException e) {
        return; // it has been closed
      }
    }

    @Override
    public void close() {
      unsubscribe(this);
      thread.interrupt();
    }
  }
}
