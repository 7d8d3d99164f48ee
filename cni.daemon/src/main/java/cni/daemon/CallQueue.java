package cni.daemon;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;

/**
 * Runs calls on threads: at most a number of them at once, those of one attachment one after the
 * other in the order of their arrival. Others wait, however many. A nested call, on which a running
 * one waits, does not count.
 */
final class CallQueue {
  private final int maxRunning;
  private final Executor threads;

  // All guarded by this.
  private int running;
  private int waiting;
  private final Deque<Call> ready = new ArrayDeque<>();

  /** The calls of each attachment; the first one is running or ready. */
  private final Map<String, Deque<Call>> attachments = new HashMap<>();

  /**
   * A call.
   *
   * @param attachment what it has to wait for; see {@link CallerRequest#attachment}
   * @param nested whether it starts even if many others run
   */
  private record Call(Optional<String> attachment, boolean nested, Runnable work) {}

  CallQueue(int maxRunning, Executor threads) {
    this.maxRunning = maxRunning;
    this.threads = threads;
  }

  /** Runs a call as soon as that is possible. The work throws nothing. */
  synchronized void submit(CallerRequest request, Runnable work) {
    var call = new Call(request.attachment(), request.isNested(), work);
    waiting++;
    if (call.attachment().isPresent()) {
      Deque<Call> others =
          attachments.computeIfAbsent(call.attachment().get(), _ -> new ArrayDeque<>());
      others.add(call);
      if (others.size() > 1) {
        return;
      }
    }
    startOrWait(call);
  }

  private void startOrWait(Call call) {
    if (call.nested() || running < maxRunning) {
      start(call);
    } else {
      ready.add(call);
    }
  }

  private void start(Call call) {
    waiting--;
    if (!call.nested()) {
      running++;
    }
    try {
      threads.execute(
          () -> {
            try {
              call.work().run();
            } finally {
              end(call);
            }
          });
    } catch (RuntimeException | Error e) { // no thread can be created
      end(call);
      throw e;
    }
  }

  private synchronized void end(Call call) {
    if (!call.nested()) {
      running--;
    }
    if (call.attachment().isPresent()) {
      startNext(call.attachment().get());
    }
    while (running < maxRunning && !ready.isEmpty()) {
      start(ready.remove());
    }
  }

  private void startNext(String attachment) {
    Deque<Call> others = attachments.get(attachment);
    if (others == null) {
      return;
    }
    others.remove(); // the call that has ended
    if (others.isEmpty()) {
      attachments.remove(attachment);
    } else {
      startOrWait(others.element());
    }
  }

  /** Returns how many calls wait for others. */
  synchronized int waiting() {
    return waiting;
  }
}
