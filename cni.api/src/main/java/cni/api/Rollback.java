// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.IoErrors;
import cni.api.internal.Uninterruptibly;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * The steps that undo an operation if a later part of it fails. A step is added after each change;
 * after a failure the steps run in reverse order.
 *
 * <p>They run on a separate thread, which no interrupt of the caller reaches, because a rollback
 * that stops halfway leaves more behind than none. The caller waits until the last step has ended,
 * and keeps its locks until then: a step that ran later could remove what a new operation on the
 * same attachment has created. Each step limits its own time, by the deadline of {@link
 * CallContext#forCleanup}.
 */
public final class Rollback {
  private final Deque<Step> steps = new ArrayDeque<>();

  /** Creates a rollback without steps. */
  public Rollback() {}

  /** Adds a step that runs before those added earlier. */
  public void add(Step step) {
    requireNonNull(step, "step");
    steps.push(step);
  }

  /**
   * Runs an operation; if it throws, undoes it before the error reaches the caller.
   *
   * @param action the action, such as "creating interface eth0", which begins the message for an
   *     {@link IOException}
   * @param operation adds a step to this rollback for every change
   * @throws CniException the operation's; code 999 for an {@link IOException}
   */
  public <T> T guard(String action, Operation<T> operation) throws CniException {
    requireNonNull(action, "action");
    requireNonNull(operation, "operation");
    try {
      return operation.run();
    } catch (IOException e) {
      throw undoAfter(IoErrors.failure(action, e));
    } catch (CniException | RuntimeException | Error e) {
      undoAfter(e);
      throw e;
    }
  }

  /**
   * Runs all steps and removes them. A step that throws does not stop the others; its exception is
   * added to the failure as suppressed. Returns after the last step has ended; an interrupt of the
   * thread is deferred until then.
   *
   * @return the failure, for the caller to throw
   */
  public <E extends Throwable> E undoAfter(E failure) {
    requireNonNull(failure, "failure");
    if (steps.isEmpty()) {
      return failure;
    }
    Deque<Step> pending = new ArrayDeque<>(steps);
    steps.clear();
    Uninterruptibly.run("cni rollback", () -> undo(pending, failure));
    return failure;
  }

  private static void undo(Deque<Step> steps, Throwable failure) {
    while (!steps.isEmpty()) {
      Step step = steps.pop();
      try {
        step.undo();
      } catch (Throwable e) { // including errors such as OutOfMemoryError
        if (!e.equals(failure)) { // addSuppressed refuses the exception itself
          failure.addSuppressed(e);
        }
      }
    }
  }

  /** The operation that a rollback guards. */
  @FunctionalInterface
  public interface Operation<T> {
    /** Performs the operation. */
    T run() throws CniException, IOException;
  }

  /** The undoing of one change. */
  @FunctionalInterface
  public interface Step {
    /** Undoes the change. */
    void undo() throws Exception;
  }
}
