// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import cni.api.internal.LazyLogger;
import cni.netlink.ffm.unix.SocketPoller;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ExecutorService;

/**
 * Decides about complete requests: refuses them, answers those for the host's status, and runs the
 * others as calls in threads of their own. Knows the calls in flight and counts those that ended.
 */
final class RequestDispatcher implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.daemon");

  /** How long calls that are interrupted at the end may take to undo what they have done. */
  private static final Duration ROLLBACK_TIME = Duration.ofSeconds(35);

  /** The bound of the memory for requests in flight. */
  private static final int MAX_ACCEPTED_BYTES = 1 << 20;

  private final HostSettings settings;
  private final RequestHandler handler;
  private final SocketPoller poller;
  private final CallerCheck check;
  private final CallQueue queue;
  private final ExecutorService threads = CallThreads.create();
  private final CallStatistics statistics = new CallStatistics();
  private final CallsInFlight inFlight = new CallsInFlight();
  private final Instant started = Instant.now();
  private volatile boolean draining;

  /**
   * Creates a dispatcher without calls.
   *
   * @param poller watches the callers of requests that are accepted
   */
  RequestDispatcher(
      HostSettings settings, RequestHandler handler, SocketPoller poller, CallerCheck check) {
    this.settings = settings;
    this.handler = handler;
    this.poller = poller;
    this.check = check;
    this.queue = new CallQueue(settings.maxRunning(), threads);
  }

  /**
   * Answers, refuses or runs a complete request.
   *
   * @throws IOException if it is malformed, or the caller has gone
   */
  void dispatch(CallerConnection caller) throws IOException {
    if (caller.isTooLarge()) {
      refuse(caller, "the request is larger than %d KiB".formatted(HostProtocol.MAX_BODY >> 10));
      return;
    }
    ReceivedRequest received = caller.request(check.networkNamespace());
    if (received.request().isStatus()) {
      caller.accept(poller);
      threads.execute(() -> answerStatus(caller, received));
      return;
    }
    Optional<String> refusal = check.refusal(received).or(() -> objection(received.request()));
    if (refusal.isEmpty()) {
      inFlight.add(caller);
      if (draining) { // read after the call has become visible to drain()
        inFlight.remove(caller);
        refusal = Optional.of("the host is about to end");
      }
    }
    if (refusal.isPresent()) {
      refuse(caller, refusal.get());
      return;
    }
    caller.accept(poller);
    queue.submit(
        received.request(),
        () -> serve(caller, received.request()),
        () -> fail(caller, received.request()));
  }

  private Optional<String> objection(CallerRequest request) {
    return inFlight.bytes() > MAX_ACCEPTED_BYTES
        ? Optional.of("the host is busy")
        : handler.objection(request);
  }

  private void refuse(CallerConnection caller, String reason) {
    statistics.refused(reason);
    caller.refuse(reason);
    caller.close();
  }

  private void serve(CallerConnection caller, CallerRequest request) {
    OptionalInt status = OptionalInt.empty();
    try {
      status = caller.serve(request, handler);
    } finally {
      count(caller, request, status.isPresent() && status.getAsInt() == 0);
      status.ifPresent(caller::answer);
      finish(caller);
    }
  }

  /** The caller reports code 11 when the connection ends without an answer. */
  private void fail(CallerConnection caller, CallerRequest request) {
    LOG.get()
        .log(
            System.Logger.Level.WARNING,
            "a call of %s fails: no thread can be created".formatted(request.name()));
    count(caller, request, false);
    finish(caller);
  }

  private void count(CallerConnection caller, CallerRequest request, boolean success) {
    statistics.ended(request.kind(), success, System.nanoTime() - caller.opened());
  }

  /** Closes a connection, and counts its call as ended if it was accepted. */
  void finish(CallerConnection caller) {
    inFlight.remove(caller);
    caller.close();
  }

  /** Answers at once, to any build, also while calls wait or the host is about to end. */
  private void answerStatus(CallerConnection caller, ReceivedRequest received) {
    CallerRequest request = received.request();
    boolean isOtherBuild = !received.image().equals(check.image());
    HostStatus status =
        status(isOtherBuild ? Optional.of(request.callerVersion()) : Optional.empty());
    RequestHandler printer =
        (_, out, _) -> {
          status.print(out, request.isStatusAsJson());
          return 0;
        };
    try (caller) {
      caller.serve(request, printer).ifPresent(caller::answer);
    }
  }

  /** Returns what the host is doing and has done. */
  HostStatus status() {
    return status(Optional.empty());
  }

  private HostStatus status(Optional<String> callerVersion) {
    return new HostStatus(
        settings.version(),
        callerVersion,
        ProcessHandle.current().pid(),
        started,
        settings.socket(),
        draining,
        inFlight.count(),
        queue.waiting(),
        statistics.refusedCount(),
        statistics.lastRefusal(),
        HostStatus.ownResidentKiB(),
        HostStatus.ownThreads(),
        statistics.calls());
  }

  /** Interrupts a call, if it is in flight, because its caller has gone. */
  void withdraw(long number) {
    inFlight.find(number).ifPresent(CallerConnection::withdraw);
  }

  /** Repeats the interrupts of calls that have not ended. Returns whether there are any. */
  boolean repeatInterrupts() {
    return inFlight.repeatInterrupts();
  }

  boolean isDraining() {
    return draining;
  }

  /** Refuses all further requests, except those for the status. */
  void refuseAll() {
    draining = true;
  }

  /** Refuses further requests, waits for the calls in flight, and interrupts what is left. */
  void drain(Duration time) {
    refuseAll();
    if (!inFlight.awaitEnd(time)) {
      interruptCalls();
    }
  }

  /** Interrupts the calls in flight and waits until they have been undone. */
  void interruptCalls() {
    if (!inFlight.interruptAll(ROLLBACK_TIME)) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              inFlight.count() + " calls have not ended; DEL or GC cleans up what they leave");
    }
  }

  /** Starts no further calls; those in flight go on. */
  @Override
  public void close() {
    threads.shutdown();
  }
}
