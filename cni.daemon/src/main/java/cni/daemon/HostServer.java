// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.InotifyWatch;
import cni.netlink.ffm.unix.PeerCredentials;
import cni.netlink.ffm.unix.SocketPoller;
import cni.netlink.ffm.unix.UnixConnection;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Comparator;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;

/**
 * The resident host's side of {@link HostProtocol}. One thread receives requests and watches
 * whether callers go away; each call has a thread of its own, see {@link RequestDispatcher}.
 */
public final class HostServer implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.daemon");

  // The numbers of what the poller reports; those of connections follow.
  private static final long LISTENER = 0;
  private static final long SOCKET_WATCH = 1;

  /** How often connections that send nothing are looked for. */
  private static final Duration AGE_INTERVAL = Duration.ofSeconds(1);

  private static final int BUFFER = 64 << 10;

  private final HostSettings settings;
  private final SocketPoller poller;
  private final CallerCheck check;
  private final RequestDispatcher dispatcher;

  // Only the server's thread uses these.
  private HostSocket socket;
  private final UnfinishedRequests unfinished = new UnfinishedRequests();
  private long lastNumber = SOCKET_WATCH;
  private boolean acceptFails;
  private boolean lossReported;

  private volatile boolean stopped;
  private volatile boolean closed;

  private HostServer(
      HostSettings settings,
      RequestHandler handler,
      HostSocket socket,
      SocketPoller poller,
      CallerCheck check) {
    this.settings = settings;
    this.socket = socket;
    this.poller = poller;
    this.check = check;
    this.dispatcher = new RequestDispatcher(settings, handler, poller, check);
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
        var server = new HostServer(settings, handler, socket, SocketPoller.open(), check);
        server.watchSocket();
        return server;
      } catch (KernelException e) {
        socket.close();
        throw e;
      }
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "the host cannot start: " + IoErrors.describe(e), e);
    }
  }

  private void watchSocket() throws KernelException {
    poller.add(socket.listener(), LISTENER);
    if (socket.watch().isPresent()) {
      poller.add(socket.watch().get(), SOCKET_WATCH);
    }
  }

  /**
   * Serves until {@link #stop} has ended, on the calling thread.
   *
   * @param interval how often to call the task; absent for never
   * @param task called between requests, such as to notify a watchdog that the host is alive
   * @throws CniException code 4 if the socket was removed and cannot be created again, code 5 if
   *     the host cannot go on
   */
  public void run(Optional<Duration> interval, Runnable task) throws CniException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(BUFFER);
      long lastTask = System.nanoTime();
      checkSocket();
      while (!stopped) {
        serveReady(timeout(interval), buffer);
        unfinished.closeLate();
        if (interval.isPresent() && System.nanoTime() - lastTask >= interval.get().toNanos()) {
          lastTask = System.nanoTime();
          task.run();
          checkSocket(); // there may be no watch
        }
      }
    } catch (IOException e) {
      throw new CniException(ErrorCode.IO_FAILURE, "the host ends: " + IoErrors.describe(e), e);
    } catch (InterruptedException e) {
      throw CniException.interrupted("creating the socket again");
    }
  }

  /** Errors, such as a lack of memory or descriptors, must not end the host. */
  private void serveReady(Optional<Duration> timeout, MemorySegment buffer)
      throws CniException, IOException, InterruptedException {
    try {
      for (long number : poller.await(timeout)) {
        ready(number, buffer);
      }
    } catch (Error e) {
      unfinished.closeOldest();
      CallThreads.pause();
    }
  }

  /** Returns how long the server's thread may sleep: it does not wake up for nothing. */
  private Optional<Duration> timeout(Optional<Duration> interval) {
    Optional<Duration> interrupts =
        dispatcher.repeatInterrupts()
            ? Optional.of(CallerConnection.INTERRUPT_INTERVAL)
            : Optional.empty();
    Optional<Duration> ages = unfinished.isEmpty() ? Optional.empty() : Optional.of(AGE_INTERVAL);
    return Stream.of(interval, interrupts, ages)
        .flatMap(Optional::stream)
        .min(Comparator.naturalOrder());
  }

  private void ready(long number, MemorySegment buffer)
      throws CniException, IOException, InterruptedException {
    if (number == LISTENER) {
      acceptAll();
    } else if (number == SOCKET_WATCH) {
      checkSocket();
    } else {
      Optional<CallerConnection> receiving = unfinished.find(number);
      receiving.ifPresent(it -> receive(it, buffer));
      if (receiving.isEmpty()) {
        dispatcher.withdraw(number); // the caller has gone
      }
    }
  }

  /**
   * Creates the socket again if it was removed or replaced: no caller could connect. Reports that
   * once if it is the service manager's.
   */
  private void checkSocket() throws CniException, IOException, InterruptedException {
    if (dispatcher.isDraining() || lossReported || !socket.isLost()) {
      return;
    }
    String lost = settings.socket() + " was removed or replaced";
    if (socket.isOwn()) {
      LOG.get().log(System.Logger.Level.WARNING, lost + "; the host creates it again");
      socket.close();
      socket = HostSocket.open(settings.socket(), OptionalInt.empty());
      watchSocket();
    } else {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              lost
                  + ": callers run the image until the service manager creates the socket again, such"
                  + " as by \"systemctl restart cni.socket cni.service\"");
      socket.watch().ifPresent(InotifyWatch::close);
      lossReported = true;
    }
  }

  private void acceptAll() {
    try {
      Optional<UnixConnection> next = socket.listener().accept();
      while (next.isPresent()) {
        add(next.get());
        next = socket.listener().accept();
      }
      acceptFails = false;
    } catch (KernelException e) {
      if (!acceptFails) {
        LOG.get().log(System.Logger.Level.WARNING, "no connection is accepted: " + e.getMessage());
      }
      acceptFails = true;
      if (!unfinished.closeOldest()) {
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
      unfinished.add(caller);
    } catch (KernelException e) {
      LOG.get().log(System.Logger.Level.WARNING, "a connection is closed: " + e.getMessage());
      caller.close();
    }
  }

  private void receive(CallerConnection caller, MemorySegment buffer) {
    try {
      if (caller.receive(buffer)) {
        unfinished.remove(caller);
        dispatcher.dispatch(caller);
      } else {
        unfinished.boundBytes();
      }
    } catch (IOException | RuntimeException | Error e) { // Errors: no memory, no thread
      LOG.get().log(System.Logger.Level.DEBUG, "a connection is closed: " + e.getMessage());
      unfinished.remove(caller);
      dispatcher.finish(caller);
    }
  }

  /** Returns what this host is doing and has done. */
  public HostStatus status() {
    return dispatcher.status();
  }

  /**
   * Refuses new requests, waits for those in flight as long as the settings say, interrupts what is
   * left, waits until that has been undone, and ends {@link #run}. Called by another thread.
   */
  public void stop() {
    if (closed) {
      return;
    }
    dispatcher.drain(settings.drainTime());
    stopped = true;
    try {
      poller.wakeUp();
    } catch (KernelException e) {
      LOG.get().log(System.Logger.Level.WARNING, "the host does not end: " + e.getMessage());
    }
  }

  /**
   * Stops listening and closes all connections. Calls in flight, which there are if {@link #run}
   * has failed, are interrupted and undone.
   */
  @Override
  public void close() throws IOException {
    closed = true;
    dispatcher.refuseAll();
    try {
      unfinished.closeAll();
      socket.close();
      if (!stopped) {
        dispatcher.interruptCalls();
      }
    } finally {
      poller.close();
      dispatcher.close();
    }
  }
}
