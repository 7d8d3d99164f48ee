package cni.netlink.ffm;

import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The C library as a whole. Linking its functions is the longest part of a process's first
 * operation, and can be done while something else is.
 */
public final class CLibrary {
  /** None is open. */
  private static final int NO_DESCRIPTOR = -1;

  private static final AtomicBoolean BEGUN = new AtomicBoolean();

  private CLibrary() {}

  /**
   * Begins to link what this module needs, on a thread of its own and once in a process. Whoever
   * needs it meanwhile waits for that. A failure is told to whoever calls a function.
   */
  public static void beginLinking() {
    if (BEGUN.getAndSet(true)) {
      return;
    }
    try {
      Thread.ofPlatform().daemon().name("cni-linking").start(CLibrary::link);
    } catch (OutOfMemoryError e) {
      return; // no thread could be made: it is linked when it is needed
    }
  }

  /** Something is linked by the first call, too. */
  private static void link() {
    try {
      Libc.close(NO_DESCRIPTOR);
    } catch (LinkageError e) {
      return; // Libc stays unusable, and says so
    }
  }
}
