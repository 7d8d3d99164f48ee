// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.CniCallable;
import cni.api.internal.LazyLogger;
import cni.api.internal.StackTraces;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Runs third-party code on a thread that is used for nothing else, so that no exception, endless
 * loop or namespace change of that code reaches the caller's thread.
 */
final class IsolatedCall {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** For calls that have no deadline: construction, type, versions, start and stop. */
  static final Duration SETUP_TIMEOUT = Duration.ofSeconds(10);

  /** How long an interrupted call may take to undo its work before its thread is abandoned. */
  private static final Duration INTERRUPT_GRACE = Duration.ofMillis(500);

  /** The namespaces of the current thread that plugins change; see namespaces(7). */
  private static final List<Path> NAMESPACES =
      List.of(Path.of("/proc/thread-self/ns/net"), Path.of("/proc/thread-self/ns/mnt"));

  private IsolatedCall() {}

  /**
   * The cause of an error that the called code did not throw itself. Such code has not rolled back
   * its changes.
   */
  private static final class ContractViolation extends Exception {
    private static final long serialVersionUID = 1L;

    private ContractViolation(Throwable cause) {
      super(cause.toString(), cause);
    }
  }

  /** Creates the error for code that violates the contract of its interface. */
  static CniException violation(ErrorCode code, String message, Throwable cause) {
    return violation(code, message, "", cause);
  }

  private static CniException violation(
      ErrorCode code, String message, String details, Throwable cause) {
    return new CniException(code.value(), message, details, new ContractViolation(cause));
  }

  /** Returns whether an error was made by {@link #violation}. */
  static boolean isContractViolation(CniException e) {
    return e.getCause() instanceof ContractViolation;
  }

  /**
   * Makes a call on a new thread, which ends with it.
   *
   * @param name what is called, for messages and the thread's name
   * @param loader the thread's context class loader, where the plugin's libraries look for classes
   * @throws CniException the call's own; code 999 for anything else that it throws, and if it
   *     leaves its thread in another namespace; code 11 if it does not end by the deadline or the
   *     caller is interrupted. The stack traces of an exception that it throws and of the causes of
   *     its own error, or of the thread that did not end, are logged and in the details.
   */
  static <T> T call(String name, ClassLoader loader, Deadline deadline, CniCallable<T> call)
      throws CniException {
    var task = new FutureTask<>(() -> callAndCheckNamespaces(name, call));
    Thread thread =
        Thread.ofPlatform()
            .name("cni " + name)
            .daemon()
            .inheritInheritableThreadLocals(false)
            .unstarted(task);
    thread.setContextClassLoader(loader);
    thread.start();
    try {
      return task.get(deadline.remaining().toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      throw failure(name, requireNonNull(e.getCause()));
    } catch (TimeoutException e) {
      String trace = StackTraces.of(thread); // before the interrupt changes what the thread does
      abandon(thread);
      String message = name + " did not end by the deadline and was abandoned";
      LOG.get().log(System.Logger.Level.WARNING, message + "; " + trace);
      throw violation(ErrorCode.TRY_AGAIN_LATER, message, trace, e);
    } catch (InterruptedException e) {
      abandon(thread);
      CniException interrupted = CniException.interrupted("waiting for " + name);
      throw violation(ErrorCode.TRY_AGAIN_LATER, interrupted.getMessage(), e);
    }
  }

  /** Returns the error for what a call has thrown, and logs what its author needs to find it. */
  private static CniException failure(String name, Throwable thrown) {
    if (!(thrown instanceof CniException own)) {
      LOG.get().log(System.Logger.Level.WARNING, name + " failed unexpectedly", thrown);
      String trace = StackTraces.of(thrown);
      return violation(ErrorCode.INTERNAL, "unexpected " + thrown, trace, thrown);
    }
    Throwable cause = own.getCause();
    if (cause == null || !own.details().isEmpty()) {
      return own;
    }
    LOG.get().log(System.Logger.Level.WARNING, name + " failed: " + own.getMessage(), cause);
    return own.withDetails(StackTraces.of(cause));
  }

  /**
   * Interrupts the thread and gives it some time to end. The caller's own interrupt status, if this
   * follows an interrupt of it, is set again by the caller's error.
   */
  private static void abandon(Thread thread) {
    boolean interrupted = Thread.interrupted();
    thread.interrupt();
    Deadline grace = Deadline.after(INTERRUPT_GRACE);
    while (thread.isAlive() && !grace.remaining().isZero()) {
      try {
        boolean _ = thread.join(grace.remaining());
      } catch (InterruptedException e) {
        interrupted = true; // a second interrupt must not start the rollback any earlier
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static <T> T callAndCheckNamespaces(String name, CniCallable<T> call)
      throws CniException {
    List<String> before = namespaces();
    T value = call.call();
    List<String> after = namespaces();
    if (!after.equals(before)) {
      String message =
          "%s left its thread in another namespace: %s instead of %s"
              .formatted(name, after, before);
      throw violation(ErrorCode.INTERNAL, message, new IllegalStateException(message));
    }
    return value;
  }

  /**
   * Returns the identities of the current thread's namespaces; empty where /proc does not show
   * them.
   */
  private static List<String> namespaces() {
    try {
      return List.of(
          Files.readSymbolicLink(NAMESPACES.getFirst()).toString(),
          Files.readSymbolicLink(NAMESPACES.getLast()).toString());
    } catch (IOException e) {
      return List.of();
    }
  }
}
