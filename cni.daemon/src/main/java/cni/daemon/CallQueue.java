// SPDX-License-Identifier: Apache-2.0
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

  /** The calls that wait only because others run. */
  private final Deque<Call> ready = new ArrayDeque<>();

  /** The calls of each attachment; the first one is running or ready. */
  private final Map<String, Deque<Call>> attachments = new HashMap<>();

  /**
   * A call.
   *
   * @param attachment what it has to wait for; see {@link CallerRequest#attachment}
   * @param nested whether it starts even if many others run
   * @param failure runs instead of the work if no thread can be created
   */
  private record Call(
      Optional<String> attachment, boolean nested, Runnable work, Runnable failure) {}

  CallQueue(int maxRunning, Executor threads) {
    this.maxRunning = maxRunning;
    this.threads = threads;
  }

  /**
   * Runs a call as soon as that is possible.
   *
   * @param work throws nothing
   * @param failure is quick, throws nothing, and runs on any thread, instead of the work if no
   *     thread can be created for it
   */
  synchronized void submit(CallerRequest request, Runnable work, Runnable failure) {
    var call = new Call(request.attachment(), request.isNested(), work, failure);
    waiting++;
    if (call.nested()) {
      start(call);
    } else if (isFirst(call)) {
      ready.add(call);
      startReady();
    }
  }

  /** Queues a call of an attachment. Returns whether it need not wait for another one of it. */
  private boolean isFirst(Call call) {
    if (call.attachment().isEmpty()) {
      return true;
    }
    Deque<Call> calls =
        attachments.computeIfAbsent(call.attachment().get(), _ -> new ArrayDeque<>());
    calls.add(call);
    return calls.size() == 1;
  }

  private void startReady() {
    while (running < maxRunning && !ready.isEmpty()) {
      start(ready.remove());
    }
  }

  private void start(Call call) {
    waiting--;
    running += call.nested() ? 0 : 1;
    try {
      threads.execute(() -> run(call));
    } catch (RuntimeException | Error e) { // no thread can be created
      release(call);
      call.failure().run();
    }
  }

  private void run(Call call) {
    try {
      call.work().run();
    } finally {
      end(call);
    }
  }

  private synchronized void end(Call call) {
    release(call);
    startReady();
  }

  /** Makes the next call of the attachment ready. */
  private void release(Call call) {
    running -= call.nested() ? 0 : 1;
    if (call.attachment().isPresent()) {
      String attachment = call.attachment().get();
      Deque<Call> calls = attachments.getOrDefault(attachment, new ArrayDeque<>());
      calls.remove(call);
      if (calls.isEmpty()) {
        attachments.remove(attachment);
      } else {
        ready.add(calls.element());
      }
    }
  }

  /** Returns how many calls wait for others. */
  synchronized int waiting() {
    return waiting;
  }
}
