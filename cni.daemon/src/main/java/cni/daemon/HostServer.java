package cni.daemon;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.unix.PeerCredentials;
import cni.netlink.ffm.unix.SocketPoller;
import cni.netlink.ffm.unix.UnixConnection;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.time.Instant;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The resident host's side of {@link HostProtocol}. One thread receives requests and watches
 * whether callers go away; each call has a thread of its own.
 */
public final class HostServer implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.daemon");

  private static final long LISTENER = 0;

  /** How long a caller may take to send its request. */
  private static final Duration REQUEST_TIME = Duration.ofSeconds(10);

  /** Connections without a complete request: more than that are not kept, the oldest go first. */
  private static final int MAX_UNFINISHED = 256;

  /** How long calls that are interrupted at the end may take to undo what they have done. */
  private static final Duration ROLLBACK_TIME = Duration.ofSeconds(35);

  private static final int BUFFER = 64 << 10;

  /** Bounds of the memory for requests that are not complete, and for those that are in flight. */
  private static final int MAX_UNFINISHED_BYTES = 512 << 10;

  private static final int MAX_ACCEPTED_BYTES = 1 << 20;

  private final HostSettings settings;
  private final RequestHandler handler;
  private final HostSocket socket;
  private final SocketPoller poller;
  private final CallerCheck check;
  private final CallQueue queue;
  private final ExecutorService threads = CallThreads.create();
  private final CallStatistics statistics = new CallStatistics();
  private final Instant started = Instant.now();

  /**
   * Connections whose request is not complete, oldest first; only the server's thread uses them.
   */
  private final Map<Long, CallerConnection> unfinished = new LinkedHashMap<>();

  /** Connections whose request has been accepted. */
  private final Map<Long, CallerConnection> accepted = new ConcurrentHashMap<>();

  private final AtomicInteger acceptedBytes = new AtomicInteger();

  private long lastNumber = LISTENER;
  private volatile boolean draining;
  private volatile boolean stopped;
  private volatile boolean closed;

  private HostServer(
      HostSettings settings,
      RequestHandler handler,
      HostSocket socket,
      SocketPoller poller,
      CallerCheck check) {
    this.settings = settings;
    this.handler = handler;
    this.socket = socket;
    this.poller = poller;
    this.check = check;
    this.queue = new CallQueue(settings.maxRunning(), threads);
  }

  /**
   * Listens. Callers that connect wait until {@link #run} serves them.
   *
   * @throws CniException code 4 if another host has the socket; code 5 if it cannot be created, or
   *     the image has no lib/modules
   * @throws InterruptedException if the thread is interrupted
   */
  public static HostServer open(HostSettings settings, RequestHandler handler)
      throws CniException, InterruptedException {
    try {
      CallerCheck check = CallerCheck.ofImage(settings.image());
      HostSocket socket = HostSocket.open(settings.socket(), settings.passedSocket());
      try {
        SocketPoller poller = SocketPoller.open();
        poller.add(socket.listener(), LISTENER);
        return new HostServer(settings, handler, socket, poller, check);
      } catch (KernelException e) {
        socket.close();
        throw e;
      }
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "the host cannot start: " + IoErrors.describe(e), e);
    }
  }

  /**
   * Serves until {@link #stop} has ended, on the calling thread.
   *
   * @param interval how often to call the task; absent for never
   * @param task called between requests, such as to tell a watchdog that the host is alive
   * @throws CniException code 5 if the host cannot go on
   */
  public void run(Optional<Duration> interval, Runnable task) throws CniException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(BUFFER);
      long lastTask = System.nanoTime();
      while (!stopped) {
        serveReady(interval, buffer);
        closeLate();
        if (interval.isPresent() && System.nanoTime() - lastTask >= interval.get().toNanos()) {
          lastTask = System.nanoTime();
          task.run();
        }
      }
    } catch (KernelException e) {
      throw new CniException(ErrorCode.IO_FAILURE, "the host ends: " + e.getMessage(), e);
    }
  }

  /** Errors, such as a lack of memory or descriptors, must not end the host. */
  private void serveReady(Optional<Duration> interval, MemorySegment buffer)
      throws KernelException {
    try {
      for (long number : poller.await(unfinished.isEmpty() ? interval : earlier(interval))) {
        ready(number, buffer);
      }
    } catch (Error e) {
      closeOldest();
      CallThreads.pause();
    }
  }

  /**
   * The interval, but at most a second: connections that send nothing have to be closed in time.
   */
  private static Optional<Duration> earlier(Optional<Duration> interval) {
    Duration second = Duration.ofSeconds(1);
    return interval.filter(it -> it.compareTo(second) < 0).or(() -> Optional.of(second));
  }

  private void ready(long number, MemorySegment buffer) {
    if (number == LISTENER) {
      acceptAll();
      return;
    }
    CallerConnection receiving = unfinished.get(number);
    if (receiving != null) {
      receive(receiving, buffer);
      return;
    }
    CallerConnection running = accepted.get(number);
    if (running != null) {
      running.withdraw();
    }
  }

  private void acceptAll() {
    try {
      Optional<UnixConnection> next = socket.listener().accept();
      while (next.isPresent()) {
        add(next.get());
        next = socket.listener().accept();
      }
    } catch (KernelException e) {
      LOG.get().log(System.Logger.Level.WARNING, "no connection is accepted: " + e.getMessage());
      if (!closeOldest()) {
        CallThreads.pause(); // too many open files, all of calls
      }
    }
  }

  private void add(UnixConnection connection) {
    var caller = new CallerConnection(++lastNumber, connection);
    try {
      PeerCredentials peer = connection.peer();
      if (!check.isAllowed(peer)) {
        LOG.get()
            .log(
                System.Logger.Level.WARNING,
                "process %d of user %d is refused".formatted(peer.pid(), peer.uid()));
        caller.refuse("only root is served");
        caller.close();
        return;
      }
      caller.watch(poller);
      unfinished.put(caller.number(), caller);
      if (unfinished.size() > MAX_UNFINISHED) {
        closeOldest();
      }
    } catch (KernelException e) {
      LOG.get().log(System.Logger.Level.WARNING, "a connection is closed: " + e.getMessage());
      caller.close();
    }
  }

  private void receive(CallerConnection caller, MemorySegment buffer) {
    try {
      if (caller.receive(buffer)) {
        unfinished.remove(caller.number());
        examine(caller);
      } else if (unfinishedBytes() > MAX_UNFINISHED_BYTES) {
        closeOldest();
      }
    } catch (IOException | RuntimeException | Error e) { // Errors: no memory, no thread
      LOG.get().log(System.Logger.Level.DEBUG, "a connection is closed: " + e.getMessage());
      unfinished.remove(caller.number());
      forget(caller);
      caller.close();
    }
  }

  private int unfinishedBytes() {
    return unfinished.values().stream().mapToInt(CallerConnection::receivedBytes).sum();
  }

  private void examine(CallerConnection caller) throws IOException {
    ReceivedRequest received = caller.request(check.networkNamespace());
    Optional<String> refusal = check.refusal(received).or(() -> objection(received.request()));
    if (refusal.isEmpty()) {
      accepted.put(caller.number(), caller);
      acceptedBytes.addAndGet(caller.receivedBytes());
      if (draining) { // read after the call has become visible to stop()
        forget(caller);
        refusal = Optional.of("the host is about to end");
      }
    }
    if (refusal.isPresent()) {
      statistics.refused(refusal.get());
      caller.refuse(refusal.get());
      caller.close();
      return;
    }
    caller.accept(poller);
    if (!received.request().isStatus()) {
      statistics.started();
    }
    queue.submit(received.request(), () -> serve(caller, received.request()));
  }

  private Optional<String> objection(CallerRequest request) {
    return acceptedBytes.get() > MAX_ACCEPTED_BYTES
        ? Optional.of("the host is busy")
        : handler.objection(request);
  }

  /** Takes a call that has ended, or does not begin, out of those in flight. */
  private void forget(CallerConnection caller) {
    if (accepted.remove(caller.number(), caller)) {
      acceptedBytes.addAndGet(-caller.receivedBytes());
    }
  }

  private void serve(CallerConnection caller, CallerRequest request) {
    OptionalInt status = OptionalInt.empty();
    try {
      status = caller.serve(request, handler);
    } finally {
      if (!request.isStatus()) {
        boolean success = status.isPresent() && status.getAsInt() == 0;
        statistics.ended(request.kind(), success, System.nanoTime() - caller.opened());
      }
      status.ifPresent(caller::answer);
      forget(caller);
      caller.close();
    }
  }

  private void closeLate() {
    Iterator<CallerConnection> oldest = unfinished.values().iterator();
    long now = System.nanoTime();
    while (oldest.hasNext()) {
      CallerConnection caller = oldest.next();
      if (now - caller.opened() < REQUEST_TIME.toNanos()) {
        return;
      }
      oldest.remove();
      caller.close();
    }
  }

  private boolean closeOldest() {
    Iterator<CallerConnection> oldest = unfinished.values().iterator();
    if (!oldest.hasNext()) {
      return false;
    }
    CallerConnection caller = oldest.next();
    oldest.remove();
    caller.close();
    return true;
  }

  /** Returns what this host is doing and has done. */
  public HostStatus status() {
    return new HostStatus(
        settings.version(),
        ProcessHandle.current().pid(),
        started,
        settings.socket(),
        draining,
        statistics.inFlight(),
        queue.waiting(),
        statistics.refusedCount(),
        statistics.lastRefusal(),
        HostStatus.ownResidentKiB(),
        HostStatus.ownThreads(),
        statistics.calls());
  }

  /**
   * Refuses new requests, waits for those in flight as long as the settings say, interrupts what is
   * left, waits until that has been undone, and ends {@link #run}. Called by another thread.
   */
  public void stop() {
    if (closed) {
      return;
    }
    draining = true;
    if (!awaitCalls(settings.drainTime())) {
      accepted.values().forEach(CallerConnection::withdraw);
      if (!awaitCalls(ROLLBACK_TIME)) {
        LOG.get()
            .log(
                System.Logger.Level.WARNING,
                accepted.size() + " calls have not ended; DEL or GC cleans up what they leave");
      }
    }
    stopped = true;
    try {
      poller.wakeUp();
    } catch (KernelException e) {
      LOG.get().log(System.Logger.Level.WARNING, "the host does not end: " + e.getMessage());
    }
  }

  private boolean awaitCalls(Duration time) {
    long end = System.nanoTime() + time.toNanos();
    while (!accepted.isEmpty() && System.nanoTime() - end < 0) {
      CallThreads.pause();
    }
    return accepted.isEmpty();
  }

  /** Stops listening and closes all connections. */
  @Override
  public void close() throws IOException {
    closed = true;
    accepted.values().forEach(CallerConnection::withdraw);
    unfinished.values().forEach(CallerConnection::close);
    unfinished.clear();
    try {
      socket.close();
    } finally {
      poller.close();
      threads.shutdown();
    }
  }
}
