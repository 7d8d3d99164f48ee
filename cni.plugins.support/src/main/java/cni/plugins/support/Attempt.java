package cni.plugins.support;

import cni.api.CniException;
import cni.api.Result;
import cni.api.Rollback;
import java.io.IOException;

/** The work of an ADD, which is taken back if it fails. */
public final class Attempt {
  private Attempt() {}

  /** What is done. */
  @FunctionalInterface
  public interface Work {
    /** Does it, and adds to the rollback what has to be undone. */
    Result run() throws CniException, IOException;
  }

  /**
   * Does the work; if that fails, runs the rollback before the error reaches the caller.
   *
   * @param what what is done, to begin the message of an error that the kernel gives
   * @throws CniException why it failed
   */
  public static Result orTakeBack(String what, Rollback rollback, Work work) throws CniException {
    try {
      return work.run();
    } catch (IOException e) {
      throw rollback.undoAfter(NetNsSession.failure(what, e));
    } catch (CniException | RuntimeException | Error e) {
      rollback.undoAfter(e);
      throw e;
    }
  }
}
