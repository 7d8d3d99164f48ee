// SPDX-License-Identifier: Apache-2.0
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
 * The only threads that ever leave the network namespace of this process. They are platform threads
 * of this class: a worker enters a namespace, runs one task, and returns to the original namespace.
 * A worker that cannot return ends.
 *
 * <p>A new thread inherits its creator's namespaces, and unparking a virtual thread may start a
 * carrier thread. Workers therefore start no threads and complete no results before they have
 * returned to the original namespace.
 */
final class NamespaceThreads {
  private static final int IDLE_TIMEOUT_SECONDS = 10;

  /** How often a waiting caller looks for the result of a worker that could not return. */
  private static final int UNRETURNED_POLL_MILLIS = 100;

  /** The network namespace that this process was started in; never closed. */
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

  /** Returns a descriptor of the network namespace of this process, which is never closed. */
  static int originalNetNs() {
    return ORIGINAL_NETNS;
  }

  /** Runs a task on a worker inside a namespace, and waits for it even if interrupted. */
  static <T, E extends Exception> T call(int namespace, NetNs.Task<T, E> task)
      throws E, KernelException {
    return submit(namespace, task).join();
  }

  /** Runs a task on a worker inside a namespace, without waiting for it. */
  static <T, E extends Exception> NetNs.PendingTask<T, E> submit(
      int namespace, NetNs.Task<T, E> task) {
    var submission = new Submission<>(namespace, task);
    Worker.acquire().submit(submission::runInside);
    return () -> submission.join().get();
  }

  /**
   * Runs a task on a new thread that ends afterwards, for a task that changes more of its thread
   * than the network namespace.
   */
  static <T, E extends Exception> T callOnFreshThread(NetNs.Task<T, E> task)
      throws E, KernelException {
    var submission = new Submission<>(ORIGINAL_NETNS, task);
    Worker.acquire().submit(submission::runOnFreshThread);
    return submission.join().get();
  }

  /** A task and its outcome. */
  private static final class Submission<T> {
    private final int namespace;
    private final NetNs.Task<T, ?> task;
    private final CompletableFuture<Outcome<T>> outcome = new CompletableFuture<>();

    /** The outcome of a worker that could not return and so must not complete the future. */
    private volatile @Nullable Outcome<T> unreturnedOutcome;

    Submission(int namespace, NetNs.Task<T, ?> task) {
      this.namespace = namespace;
      this.task = task;
    }

    /** Runs the task inside the namespace; a {@link Job}. */
    boolean runInside() {
      try {
        Libc.setns(namespace);
      } catch (KernelException | Error e) {
        outcome.complete(new Outcome<>(null, e));
        return true;
      }
      Outcome<T> result = Outcome.of(task);
      try {
        Libc.setns(ORIGINAL_NETNS);
      } catch (KernelException | Error e) {
        unreturnedOutcome = result;
        return false;
      }
      outcome.complete(result);
      return true;
    }

    /** Runs the task on a new thread, and completes after that has ended; a {@link Job}. */
    @SuppressWarnings("ThreadJoinLoop") // Uninterruptibles is not in the JDK
    boolean runOnFreshThread() {
      var result = new CompletableFuture<Outcome<T>>();
      Thread thread;
      try {
        thread =
            Thread.ofPlatform()
                .daemon()
                .name("cni-namespace-once")
                .start(() -> result.complete(Outcome.of(task)));
      } catch (OutOfMemoryError e) { // the system allows no further thread
        outcome.complete(new Outcome<>(null, e));
        return true;
      }
      boolean ended = false;
      while (!ended) {
        try {
          thread.join();
          ended = true;
        } catch (InterruptedException e) {
          // no other code has a reference to a worker, so none interrupts it
        }
      }
      outcome.complete(result.join());
      return true;
    }

    /** Waits for the outcome even if interrupted: what the task opened must not leak. */
    Outcome<T> join() {
      boolean interrupted = false;
      try {
        while (true) {
          Outcome<T> unreturned = unreturnedOutcome;
          if (unreturned != null) {
            return unreturned;
          }
          try {
            return outcome.get(UNRETURNED_POLL_MILLIS, TimeUnit.MILLISECONDS);
          } catch (InterruptedException e) {
            interrupted = true;
          } catch (TimeoutException e) {
            // look at the field again
          } catch (ExecutionException e) {
            throw new AssertionError(e); // the future is only ever completed with an outcome
          }
        }
      } finally {
        if (interrupted) {
          Thread.currentThread().interrupt();
        }
      }
    }
  }

  /** A thread that runs jobs, one at a time, and ends when it has been idle for a while. */
  private static final class Worker implements Runnable {
    private static final AtomicInteger NUMBER = new AtomicInteger();

    private final BlockingQueue<Job> jobs = new ArrayBlockingQueue<>(1);

    /** Returns a worker for the caller alone: an idle one, or a new one. */
    static Worker acquire() {
      Worker idle = IDLE_WORKERS.pollFirst();
      if (idle != null) {
        return idle;
      }
      var worker = new Worker();
      Thread.ofPlatform().daemon().name("cni-namespace-" + NUMBER.incrementAndGet()).start(worker);
      return worker;
    }

    /** Submits the one job that the caller acquired this worker for. */
    void submit(Job job) {
      jobs.add(job);
    }

    @Override
    public void run() {
      boolean returned = true;
      while (returned) {
        Job job = nextJob();
        if (job == null) {
          if (IDLE_WORKERS.remove(this)) {
            return;
          }
          continue; // acquired since, so a job follows
        }
        returned = job.run();
        if (returned) {
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

  /** What a worker runs. */
  private interface Job {
    /** Runs it, and returns whether the thread is in the original namespace again. */
    boolean run();
  }

  /** The value that a task returned or the exception that it threw. */
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
        throw (E) thrown; // the task throws E, entering the namespace KernelException
      }
      return value;
    }
  }
}
