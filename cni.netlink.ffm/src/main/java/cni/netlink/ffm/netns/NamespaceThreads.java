package cni.netlink.ffm.netns;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Libc;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The only threads that ever leave this process's network namespace. They are platform threads of
 * our own: each enters a namespace, does one thing, and comes back. One that cannot come back is
 * ended.
 *
 * <p>A thread is born in the namespaces of the thread that starts it. So none is started, and
 * nobody is woken for whom the JDK might start one, by a thread that is away: results are handed
 * over at home.
 */
final class NamespaceThreads {
  private static final int IDLE_TIMEOUT_SECONDS = 10;

  /** How often a result is looked for that could not be handed over. */
  private static final int UNRETURNED_POLL_MILLIS = 100;

  /** The namespace to come back to. Open as long as the process runs. */
  private static final int ORIGINAL_NETNS = openOriginalNetNs();

  private static final ConcurrentLinkedDeque<Worker> IDLE_WORKERS = new ConcurrentLinkedDeque<>();

  private NamespaceThreads() {}

  private static int openOriginalNetNs() {
    try {
      return Libc.open("/proc/thread-self/ns/net", Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
    } catch (KernelException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  /** A descriptor of the namespace to come back to. */
  static int originalNetNs() {
    return ORIGINAL_NETNS;
  }

  /** Runs the task on a thread that is in the namespace; waits for it, interrupted or not. */
  static <T, E extends Exception> T call(int namespace, NetNs.Task<T, E> task)
      throws E, KernelException {
    return submit(namespace, task).join();
  }

  /** Has a thread run the task in the namespace, while the caller goes on. */
  static <T, E extends Exception> NetNs.PendingTask<T, E> submit(
      int namespace, NetNs.Task<T, E> task) {
    var visit = new Submission<>(namespace, task);
    Worker.acquire().submit(visit::runInside);
    return () -> visit.join().get();
  }

  /**
   * Runs the task on a fresh thread that ends afterwards, for a task that changes more of its
   * thread than the network namespace.
   */
  static <T, E extends Exception> T callOnFreshThread(NetNs.Task<T, E> task)
      throws E, KernelException {
    var visit = new Submission<>(ORIGINAL_NETNS, task);
    Worker.acquire().submit(visit::runOnFreshThread);
    return visit.join().get();
  }

  /** One task and what comes of it. */
  private static final class Submission<T> {
    private final int namespace;
    private final NetNs.Task<T, ?> task;
    private final CompletableFuture<Outcome<T>> outcome = new CompletableFuture<>();

    /** The outcome of a thread that could not come back to hand it over. */
    private volatile @Nullable Outcome<T> unreturned;

    Submission(int namespace, NetNs.Task<T, ?> task) {
      this.namespace = namespace;
      this.task = task;
    }

    /** Returns whether the thread is at home afterwards. */
    boolean runInside() {
      try {
        Libc.setns(namespace);
      } catch (KernelException | Error e) {
        return outcome.complete(new Outcome<>(null, e));
      }
      Outcome<T> result = Outcome.of(task);
      try {
        Libc.setns(ORIGINAL_NETNS);
      } catch (KernelException | Error e) {
        unreturned = result;
        return false;
      }
      return outcome.complete(result);
    }

    /** The thread that was changed ends before its outcome is told. */
    @SuppressWarnings("ThreadJoinLoop") // this is such a loop
    boolean runOnFreshThread() {
      var result = new CompletableFuture<Outcome<T>>();
      Thread thread;
      try {
        thread =
            Thread.ofPlatform()
                .daemon()
                .name("cni-namespace-once")
                .start(() -> result.complete(Outcome.of(task)));
      } catch (OutOfMemoryError e) { // no thread could be made
        return outcome.complete(new Outcome<>(null, e));
      }
      boolean ended = false;
      while (!ended) {
        try {
          thread.join();
          ended = true;
        } catch (InterruptedException e) {
          // nobody interrupts a thread that nobody knows
        }
      }
      return outcome.complete(result.join());
    }

    /** Waits to the end even if interrupted: what the task opened must not be lost. */
    Outcome<T> join() {
      boolean interrupted = false;
      try {
        while (true) {
          Outcome<T> lost = unreturned;
          if (lost != null) {
            return lost;
          }
          try {
            return outcome.get(UNRETURNED_POLL_MILLIS, TimeUnit.MILLISECONDS);
          } catch (InterruptedException e) {
            interrupted = true;
          } catch (TimeoutException e) {
            // look for a stranded one, and wait on
          } catch (ExecutionException e) {
            throw new AssertionError(e); // an outcome is always completed normally
          }
        }
      } finally {
        if (interrupted) {
          Thread.currentThread().interrupt();
        }
      }
    }
  }

  /** A thread that makes visits, one after the other. */
  private static final class Worker implements Runnable {
    private static final AtomicInteger NUMBER = new AtomicInteger();

    private final BlockingQueue<Job> jobs = new ArrayBlockingQueue<>(1);

    /** One that is idle, or a new one. */
    static Worker acquire() {
      Worker idle = IDLE_WORKERS.pollFirst();
      if (idle != null) {
        return idle;
      }
      var fresh = new Worker();
      Thread.ofPlatform().daemon().name("cni-namespace-" + NUMBER.incrementAndGet()).start(fresh);
      return fresh;
    }

    void submit(Job errand) {
      jobs.add(errand); // whoever got it from free() is the only one who gives it anything
    }

    @Override
    public void run() {
      boolean atHome = true;
      while (atHome) {
        Job errand = nextJob();
        if (errand == null) {
          if (IDLE_WORKERS.remove(this)) {
            return;
          }
          continue; // it has been chosen just now
        }
        atHome = errand.run();
        if (atHome) {
          IDLE_WORKERS.addFirst(this);
        }
      }
    }

    private @Nullable Job nextJob() {
      try {
        return jobs.poll(IDLE_TIMEOUT_SECONDS, TimeUnit.SECONDS);
      } catch (InterruptedException e) {
        return null;
      }
    }
  }

  /** What a visitor does. */
  private interface Job {
    /** Does it; returns whether the thread is at home. */
    boolean run();
  }

  /** What came of a task: a value or what it threw. */
  private record Outcome<T>(@Nullable T value, @Nullable Throwable thrown) {
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
        throw (E) thrown; // the task throws nothing else; a visit adds KernelException
      }
      return value;
    }
  }
}
