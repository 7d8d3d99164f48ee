package cni.api;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * What has to be undone if an operation fails later on: steps are added as things are done, and run
 * in reverse order after a failure.
 */
public final class Rollback {
  private final Deque<Step> steps = new ArrayDeque<>();

  /** Starts with nothing to undo. */
  public Rollback() {}

  /** Adds a step, to run before those added earlier. */
  public void add(Step step) {
    steps.push(step);
  }

  /**
   * Runs every step, each whatever became of the others. What they throw is added to the failure as
   * suppressed. An interrupt of the thread does not keep them from their work; it is pending again
   * afterwards.
   *
   * @return the failure, to be thrown
   */
  public <E extends Throwable> E undoAfter(E failure) {
    boolean interrupted = false;
    while (!steps.isEmpty()) {
      interrupted |= Thread.interrupted(); // also one that came during the last step
      try {
        steps.pop().undo();
      } catch (Throwable e) { // an error, such as of memory, must not keep the others from running
        if (!e.equals(failure)) { // it may have failed with the very same, which Java forbids
          failure.addSuppressed(e);
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return failure;
  }

  /** Undoes one thing. */
  @FunctionalInterface
  public interface Step {
    /** Does so. */
    void undo() throws Exception;
  }
}
