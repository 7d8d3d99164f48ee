package cni.netlink.ffm;

import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * The only threads that ever leave this process's network namespace. They are platform threads of
 * our own: each enters a namespace, does one thing, and comes back. One that cannot come back is
 * ended.
 */
final class NamespaceThreads {
  private static final int IDLE_SECONDS = 10;

  /** The namespace to come back to. Open as long as the process runs. */
  private static final int HOME = openHome();

  private static final ThreadPoolExecutor THREADS =
      new ThreadPoolExecutor(
          0,
          Integer.MAX_VALUE,
          IDLE_SECONDS,
          TimeUnit.SECONDS,
          new SynchronousQueue<>(),
          Thread.ofPlatform().daemon().name("cni-namespace-", 0).factory());

  private NamespaceThreads() {}

  private static int openHome() {
    try {
      return Libc.open("/proc/thread-self/ns/net", Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
    } catch (KernelException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  /** A descriptor of the namespace to come back to. */
  static int home() {
    return HOME;
  }

  /** Runs the task on a thread that is in the namespace; waits for it, interrupted or not. */
  static <T, E extends Exception> T call(int namespace, NetNs.Task<T, E> task)
      throws E, KernelException {
    var outcome = new CompletableFuture<Outcome<T>>();
    THREADS.execute(() -> visit(namespace, task, outcome));
    return await(outcome).get();
  }

  /**
   * Runs the task on a fresh thread that ends afterwards, for a task that changes more of its
   * thread than the network namespace.
   */
  static <T, E extends Exception> T callOnce(NetNs.Task<T, E> task) throws E, KernelException {
    var outcome = new CompletableFuture<Outcome<T>>();
    Thread.ofPlatform()
        .daemon()
        .name("cni-namespace-once")
        .start(() -> outcome.complete(Outcome.of(task)));
    return await(outcome).get();
  }

  private static <T> void visit(
      int namespace, NetNs.Task<T, ?> task, CompletableFuture<Outcome<T>> outcome) {
    boolean away = false;
    try {
      Libc.setns(namespace);
      away = true;
      Outcome<T> result = Outcome.of(task);
      Libc.setns(HOME);
      away = false;
      outcome.complete(result);
    } catch (KernelException e) {
      outcome.complete(new Outcome<>(null, e));
      if (away) {
        throw new IllegalStateException("this thread could not come back and ends", e);
      }
    }
  }

  /** Waits to the end even if interrupted: what the task opened must not be lost. */
  private static <T> Outcome<T> await(CompletableFuture<Outcome<T>> outcome) {
    try {
      return outcome.join();
    } catch (CompletionException | CancellationException e) {
      throw new AssertionError(e); // an outcome is always completed normally
    }
  }

  /** What came of a task: a value or what it threw. */
  private record Outcome<T>(
      @org.jspecify.annotations.Nullable T value,
      @org.jspecify.annotations.Nullable Throwable thrown) {
    static <T> Outcome<T> of(NetNs.Task<T, ?> task) {
      try {
        return new Outcome<>(task.run(), null);
      } catch (Throwable t) {
        return new Outcome<>(null, t);
      }
    }

    @SuppressWarnings({"unchecked", "NullAway", "TypeParameterUnusedInFormals"})
    <E extends Exception> T get() throws E, KernelException {
      if (thrown instanceof Error error) {
        throw error;
      }
      if (thrown != null) {
        throw (E) thrown; // the task throws nothing else; visit() adds KernelException
      }
      return value;
    }
  }
}
