package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginHost;
import cni.api.ResidentPlugin;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * A plugin of somebody else. Whatever it does, its caller gets a result that is one or an error of
 * the specification, in time: each call has a thread of its own, which is given up if it blocks,
 * and never used again, in whichever namespace it ends.
 */
final class IsolatedPlugin implements ResidentPlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** For what has no deadline of its own: being made, and telling type and versions. */
  static final Duration SETUP_TIMEOUT = Duration.ofSeconds(10);

  /** For ending after an interrupt, so that it can take back what it did. */
  private static final Duration INTERRUPT_GRACE = Duration.ofMillis(500);

  /** The namespaces of the thread that networking knows of; see namespaces(7). */
  private static final List<Path> NAMESPACES =
      List.of(Path.of("/proc/thread-self/ns/net"), Path.of("/proc/thread-self/ns/mnt"));

  private final NetworkPlugin plugin;
  private final String type;
  private final Set<SpecVersion> versions;

  private volatile boolean started;

  /** How many are under way; guarded by this. */
  private int calls;

  /** Whether there is a newer one in its place; guarded by this. */
  private boolean retired;

  private IsolatedPlugin(NetworkPlugin plugin, String type, Set<SpecVersion> versions) {
    this.plugin = plugin;
    this.type = type;
    this.versions = versions;
  }

  /**
   * Contains a plugin.
   *
   * @throws CniException if it cannot even tell what it is
   */
  static IsolatedPlugin of(NetworkPlugin plugin) throws CniException {
    return callOnNewThread(
        plugin.getClass().getName(),
        loader(plugin),
        Deadline.after(SETUP_TIMEOUT),
        () -> new IsolatedPlugin(plugin, plugin.type(), Set.copyOf(plugin.versions())));
  }

  /**
   * Whether it needs that: our own plugins keep their deadlines and namespaces themselves, so they
   * can run on the caller's thread.
   */
  static boolean isNeededFor(NetworkPlugin plugin) {
    return !plugin.getClass().getPackageName().startsWith("cni.plugins.");
  }

  @Override
  public String type() {
    return type;
  }

  @Override
  public Set<SpecVersion> versions() {
    return versions;
  }

  @Override
  public void start(PluginHost host) throws CniException {
    if (plugin instanceof ResidentPlugin resident) {
      started = true;
      callOnNewThread(
          type + " start",
          loader(plugin),
          Deadline.after(SETUP_TIMEOUT),
          answering(() -> resident.start(host)));
    }
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    return call(
        Verb.ADD,
        request.context().deadline(),
        () -> requireValid(plugin.add(request), request.config().version()));
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    run(Verb.CHECK, request.context().deadline(), () -> plugin.check(request));
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    run(Verb.DEL, request.context().deadline(), () -> plugin.delete(request));
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    run(Verb.GC, request.context().deadline(), () -> plugin.gc(request));
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    run(Verb.STATUS, request.context().deadline(), () -> plugin.status(request));
  }

  /** It has been replaced: what it does between calls ends after the last of them. */
  void retire() {
    synchronized (this) {
      retired = true;
      if (calls > 0) {
        return;
      }
    }
    stop();
  }

  @Override
  public void stop() {
    if (started && plugin instanceof ResidentPlugin resident) {
      try {
        callOnNewThread(
            type + " stop",
            loader(plugin),
            Deadline.after(SETUP_TIMEOUT),
            answering(resident::stop));
      } catch (CniException e) {
        LOG.get().log(System.Logger.Level.WARNING, e.getMessage());
      }
    }
  }

  private void run(Verb verb, Deadline deadline, Action action) throws CniException {
    call(verb, deadline, answering(action));
  }

  private <T> T call(Verb verb, Deadline deadline, Call<T> call) throws CniException {
    synchronized (this) {
      calls++;
    }
    try {
      return callOnNewThread(type + " " + verb, loader(plugin), deadline, call);
    } finally {
      boolean last;
      synchronized (this) {
        calls--;
        last = retired && calls == 0;
      }
      if (last) {
        stop();
      }
    }
  }

  private static ClassLoader loader(NetworkPlugin plugin) {
    return plugin.getClass().getClassLoader();
  }

  private static Call<Boolean> answering(Action action) {
    return () -> {
      action.run();
      return true;
    };
  }

  /** What a plugin does. */
  interface Action {
    void run() throws CniException;
  }

  /** What a plugin answers. */
  interface Call<T> {
    T run() throws CniException;
  }

  /**
   * Makes a call on a thread that nobody will use again.
   *
   * @param name the thread's
   * @param loader where libraries of the plugin expect to find its classes
   * @throws CniException its own; code 999 for anything else that it throws and for a namespace
   *     that it left; code 11 if it does not end in time or the caller is interrupted
   */
  static <T> T callOnNewThread(String name, ClassLoader loader, Deadline deadline, Call<T> call)
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
      throw e.getCause() instanceof CniException own
          ? own
          : violation(
              ErrorCode.INTERNAL, "unexpected " + e.getCause(), requireNonNull(e.getCause()));
    } catch (TimeoutException e) {
      abandon(thread);
      throw violation(
          ErrorCode.TRY_AGAIN_LATER, name + " did not end by the deadline and was given up", e);
    } catch (InterruptedException e) {
      abandon(thread);
      CniException interrupted = CniException.interrupted("waiting for " + name);
      throw violation(ErrorCode.TRY_AGAIN_LATER, interrupted.getMessage(), e);
    }
  }

  /** The cause of an error that the plugin did not throw itself: it has not taken back anything. */
  static final class ContractViolation extends Exception {
    private static final long serialVersionUID = 1L;

    private ContractViolation(Throwable cause) {
      super(cause.toString(), cause);
    }
  }

  /** Whether an error says that a plugin has not kept to what the interface asks of it. */
  static boolean isContractViolation(CniException e) {
    return e.getCause() instanceof ContractViolation;
  }

  private static CniException violation(ErrorCode code, String message, Throwable cause) {
    return new CniException(code, message, new ContractViolation(cause));
  }

  /** The caller's own interrupt is set again by whoever tells of it. */
  private static void abandon(Thread thread) {
    thread.interrupt();
    try {
      thread.join(INTERRUPT_GRACE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static <T> T callAndCheckNamespaces(String name, Call<T> call) throws CniException {
    List<String> before = namespaces();
    T value = call.run();
    List<String> after = namespaces();
    if (!after.equals(before)) {
      String message =
          "%s left its thread in another namespace: %s instead of %s"
              .formatted(name, after, before);
      throw violation(ErrorCode.INTERNAL, message, new IllegalStateException(message));
    }
    return value;
  }

  /** Which ones the thread is in; nothing where /proc does not tell. */
  private static List<String> namespaces() {
    try {
      return List.of(
          Files.readSymbolicLink(NAMESPACES.getFirst()).toString(),
          Files.readSymbolicLink(NAMESPACES.getLast()).toString());
    } catch (IOException e) {
      return List.of();
    }
  }

  /** A result that can be written, and whose addresses belong to interfaces that it has. */
  private Result requireValid(@Nullable Result result, SpecVersion version) throws CniException {
    if (result == null) {
      throw invalid("null");
    }
    int interfaces = result.interfaces().size();
    for (Result.IpConfig ip : result.ips()) {
      int index = ip.interfaceIndex().orElse(0);
      if (index < 0 || (ip.interfaceIndex().isPresent() && index >= interfaces)) {
        throw invalid(
            "address %s belongs to interface %d, and it has %d"
                .formatted(ip.address(), index, interfaces));
      }
    }
    try {
      ResultJson.write(result, version);
    } catch (RuntimeException e) {
      throw invalid("it cannot be written: " + e);
    }
    return result;
  }

  private CniException invalid(String why) {
    String message = type + " answered ADD with what is no result: " + why;
    return violation(ErrorCode.INTERNAL, message, new IllegalStateException(message));
  }
}
