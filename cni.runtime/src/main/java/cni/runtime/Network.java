package cni.runtime;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkConfig;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.TraceContext;
import cni.api.Verb;
import cni.api.internal.LazyLogger;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * A network that containers are attached to: the chain of plugins of a configuration (SPEC section
 * 3).
 */
public final class Network {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** How many stale attachments are deleted at a time. */
  private static final int GC_PARALLELISM = 16;

  private final NetworkConfig config;
  private final Cni cni;
  private final TraceContext trace;

  Network(NetworkConfig config, Cni cni, TraceContext trace) {
    this.config = config;
    this.cni = cni;
    this.trace = trace;
  }

  /** The network's name. */
  public String name() {
    return config.name();
  }

  /** The network's configuration. */
  public NetworkConfig config() {
    return config;
  }

  /** The same network, whose operations belong to a trace: executables are told of it. */
  public Network withTrace(TraceContext context) {
    return new Network(config, cni, context);
  }

  /**
   * The version of the specification that the plugins are spoken to in: the newest that the
   * configuration offers, this library knows and every plugin supports.
   *
   * @throws CniException code 1 if there is none, code 7 if a plugin does not exist
   */
  public SpecVersion version() throws CniException {
    return new VersionNegotiation(config, cni.plugins()).negotiate();
  }

  /**
   * Attaches a container (ADD).
   *
   * @return what there is afterwards; it is also kept for {@link #check} and {@link #delete}
   * @throws CniException if a plugin fails, with the plugin's code. What the chain had done until
   *     then has been deleted. Code 11 if the time is up or the thread is interrupted.
   */
  public Result add(Attachment attachment) throws CniException {
    attachment.requireValid();
    if (attachment.namespace().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "the path of the container's namespace (CNI_NETNS) is missing");
    }
    CallContext context = cni.context(trace);
    try (var _ = cni.networkLock().shared(name(), context.deadline());
        var _ = cni.locks().acquire(attachment.containerId(), context.deadline())) {
      return new AddOperation(cni, config, attachment, context).run();
    }
  }

  /**
   * Compares an attachment with what was made (CHECK). Does nothing if the configuration says
   * {@code disableCheck}.
   *
   * @throws CniException what is missing or different, with the plugin's code; code 1 before
   *     version 0.4.0, which has no CHECK
   */
  public void check(Attachment attachment) throws CniException {
    attachment.requireValid();
    Verb.CHECK.requireDefinedIn(config.version());
    if (config.disableCheck()) {
      return;
    }
    CallContext context = cni.context(trace);
    try (var _ = cni.locks().acquire(attachment.containerId(), context.deadline())) {
      SpecVersion version = version();
      Verb.CHECK.requireDefinedIn(version);
      Optional<Result> previous = cni.cache().result(name(), attachment.id(), version);
      for (PluginConfig plugin : config.plugins()) {
        context.deadline().check("CHECK by " + plugin.type());
        var derived = plugin.forRequest(name(), version, attachment.capabilityArgs());
        var request = new AttachmentRequest(derived, attachment, previous, context);
        step(plugin, Verb.CHECK).run(() -> cni.plugins().find(plugin.type()).check(request));
      }
    }
  }

  /**
   * Detaches a container (DEL). What is gone already is no error.
   *
   * @throws CniException if a plugin fails, with the plugin's code; the result is kept then, so
   *     that it can be tried again
   */
  public void delete(Attachment attachment) throws CniException {
    attachment.requireValid();
    CallContext context = cni.context(trace);
    try (var _ = lockForDelete(context)) {
      delete(attachment, context);
    }
  }

  /** What has been made must be removable even where no lock can be, as on a full file system. */
  private NetworkLock.Held lockForDelete(CallContext context) throws CniException {
    try {
      return cni.networkLock().shared(name(), context.deadline());
    } catch (CniException e) {
      if (!e.is(ErrorCode.IO_FAILURE)) {
        throw e;
      }
      LOG.get().log(System.Logger.Level.WARNING, "DEL goes on without a lock: " + e.getMessage());
      return () -> {};
    }
  }

  private void delete(Attachment attachment, CallContext context) throws CniException {
    try (var _ = cni.locks().acquire(attachment.containerId(), context.deadline())) {
      SpecVersion version = new VersionNegotiation(config, cni.plugins()).negotiateOrNewest();
      Optional<Result> previous = previousForDelete(attachment, version);
      for (PluginConfig plugin : config.plugins().reversed()) {
        context.deadline().check("DEL by " + plugin.type());
        var derived = plugin.forRequest(name(), version, attachment.capabilityArgs());
        var request = new AttachmentRequest(derived, attachment, previous, context);
        step(plugin, Verb.DEL).run(() -> cni.plugins().find(plugin.type()).delete(request));
      }
      forget(attachment);
    }
  }

  /** Everything has been deleted: that it is still noted is no reason to try for ever. */
  private void forget(Attachment attachment) {
    for (ResultCache kept : List.of(cni.cache(), cni.journal())) {
      try {
        kept.remove(name(), attachment.id());
      } catch (CniException e) {
        LOG.get().log(System.Logger.Level.WARNING, "DEL is done, but " + e.getMessage());
      }
    }
  }

  /** A result that cannot be read must not keep anything from being deleted. */
  private Optional<Result> previousForDelete(Attachment attachment, SpecVersion version) {
    if (!version.atLeast(SpecVersion.V0_4_0)) {
      return Optional.empty(); // DEL had no previous result before
    }
    try {
      return cni.cache().result(name(), attachment.id(), version);
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "DEL goes on without it: " + e.getMessage());
      return Optional.empty();
    }
  }

  /**
   * Removes what belongs to attachments that do not exist any more (GC): those that something is
   * kept of are deleted first, then every plugin is told which ones are valid. Nothing is added to
   * or deleted from the network meanwhile, by other processes neither. Does nothing if the
   * configuration says {@code disableGC}; before version 1.1.0 plugins have no GC.
   *
   * @param valid every attachment of this network that still exists
   * @throws CniException what went wrong, all of it, with the code of the first; everything else
   *     has been done
   */
  public void gc(Set<AttachmentId> valid) throws CniException {
    if (config.disableGc()) {
      return;
    }
    CallContext context = cni.context(trace);
    try (var _ = cni.networkLock().exclusive(name(), context.deadline())) {
      var failures = new FailureCollector("GC of network " + name());
      List<CachedAttachment> kept = new ArrayList<>(cni.cache().list(Optional.empty()));
      kept.addAll(cni.journal().list(Optional.empty())); // nobody is adding now: those have died
      List<Attachment> stale =
          kept.stream()
              .filter(it -> it.network().equals(name()))
              .map(CachedAttachment::attachment)
              .filter(it -> !valid.contains(it.id()))
              .toList();
      deleteAll(stale, context, failures);
      SpecVersion version = new VersionNegotiation(config, cni.plugins()).negotiateOrNewest();
      if (Verb.GC.isDefinedIn(version)) {
        for (PluginConfig plugin : config.plugins()) {
          failures.collect(() -> gc(plugin, version, valid, context));
        }
      }
      failures.collect(cni.journal()::sweep);
      failures.throwIfAny();
    }
  }

  /** Several at once: the kernel lets them wait together until their links are out of use. */
  private void deleteAll(List<Attachment> stale, CallContext context, FailureCollector failures) {
    if (stale.isEmpty()) {
      return;
    }
    var threads = Thread.ofPlatform().daemon().name("cni-gc-", 0).factory();
    int count = Math.min(stale.size(), GC_PARALLELISM);
    try (ExecutorService executor = Executors.newFixedThreadPool(count, threads)) {
      List<Future<Boolean>> ends = new ArrayList<>();
      for (Attachment attachment : stale) {
        ends.add(
            executor.submit(
                () -> {
                  delete(attachment, context);
                  return true;
                }));
      }
      ends.forEach(end -> failures.collect(() -> await(end)));
    }
  }

  private static void await(Future<?> end) throws CniException {
    try {
      end.get();
    } catch (InterruptedException e) {
      throw CniException.interrupted("what is stale is deleted");
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case CniException failure -> throw failure;
        case Error error -> throw error;
        case RuntimeException unexpected -> throw unexpected;
        case null, default -> throw new IllegalStateException(e);
      }
    }
  }

  private void gc(
      PluginConfig plugin, SpecVersion version, Set<AttachmentId> valid, CallContext context)
      throws CniException {
    context.deadline().check("GC by " + plugin.type());
    var request = new GcRequest(plugin.forRequest(name(), version, Map.of()), valid, context);
    step(plugin, Verb.GC).run(() -> cni.plugins().find(plugin.type()).gc(request));
  }

  /**
   * Asks whether a container could be added now (STATUS). Before version 1.1.0 nobody can be asked,
   * and the answer is yes.
   *
   * @throws CniException the first plugin's reason why not, with its code: 50 or 51
   */
  public void status() throws CniException {
    if (!Verb.STATUS.isDefinedIn(config.version())) {
      return;
    }
    CallContext context = cni.context(trace);
    SpecVersion version = availableVersion();
    if (!Verb.STATUS.isDefinedIn(version)) {
      return;
    }
    for (PluginConfig plugin : config.plugins()) {
      context.deadline().check("STATUS of " + plugin.type());
      var request = new NetworkRequest(plugin.forRequest(name(), version, Map.of()), context);
      step(plugin, Verb.STATUS).run(() -> cni.plugins().find(plugin.type()).status(request));
    }
  }

  /** A plugin that is there but disabled is not available, rather than not known. */
  private SpecVersion availableVersion() throws CniException {
    try {
      return version();
    } catch (CniException e) {
      boolean broken =
          e.is(ErrorCode.INVALID_CONFIG)
              && config.plugins().stream().anyMatch(it -> cni.plugins().isBroken(it.type()));
      throw broken ? new CniException(ErrorCode.NOT_AVAILABLE, e.getMessage(), e) : e;
    }
  }

  /**
   * Checks that every plugin of the chain exists, and supports a version that the configuration
   * offers.
   *
   * @return the capabilities that the plugins ask to be served, in alphabetical order
   * @throws CniException all that is wrong, with the code of the first: 7 for a plugin that does
   *     not exist, 1 for one that supports no version
   */
  public List<String> validate() throws CniException {
    var failures = new FailureCollector("network " + name());
    var capabilities = new TreeSet<String>();
    for (PluginConfig plugin : config.plugins()) {
      failures.collect(() -> requireSupport(plugin.type()));
      failures.collect(() -> capabilities.addAll(plugin.capabilities()));
    }
    failures.throwIfAny();
    version();
    return new ArrayList<>(capabilities);
  }

  private void requireSupport(String type) throws CniException {
    List<SpecVersion> supported = cni.plugins().versions(type);
    if (config.versions().stream().noneMatch(supported::contains)) {
      throw new CniException(
          ErrorCode.INCOMPATIBLE_VERSION,
          "plugin %s supports %s, the configuration offers %s"
              .formatted(type, supported, config.versions()));
    }
  }

  /**
   * What is kept of an attachment: its result, the arguments and the configuration that it was
   * added with. Absent if it is not attached, or was by a libcni before 0.8.
   *
   * @throws CniException code 5 or 6 if what was kept cannot be read
   */
  public Optional<CachedAttachment> cachedAttachment(AttachmentId id) throws CniException {
    Attachment.requireValid(id);
    return cni.cache().get(name(), id);
  }

  /**
   * The result that is kept of an attachment; absent if it is not attached.
   *
   * @throws CniException code 5 or 6 if what was kept cannot be read
   */
  public Optional<Result> cachedResult(AttachmentId id) throws CniException {
    Attachment.requireValid(id);
    return cni.cache().result(name(), id, config.version());
  }

  private PluginCall step(PluginConfig plugin, Verb verb) {
    return new PluginCall(name(), verb, plugin.type());
  }
}
