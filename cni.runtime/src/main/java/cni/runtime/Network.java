// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CallContext;
import cni.api.CapabilityArgs;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.TraceContext;
import cni.api.Verb;
import cni.api.internal.LazyLogger;
import cni.api.internal.NullChecks;
import cni.runtime.UpdateOperation.Mode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A network that containers are attached to: a configuration with its chain of plugins (SPEC
 * section 3, "Execution of Network Configurations"). Obtained from {@link Cni}.
 *
 * <p>ADD, CHECK, DEL, GC and STATUS are operations with a deadline, {@link CniBuilder#timeout}
 * after their start. An operation ends with code 11 when its deadline passes or its thread is
 * interrupted. {@link #version} and {@link #validate} have no such deadline: they only ask
 * executables for their versions, which takes at most 10 seconds for each.
 *
 * <p>Any thread may call the methods. Operations of one {@link Cni} on the same container run one
 * after the other. While {@link #gc}, {@link #update} or {@link #repair} runs, all other operations
 * on the network except {@link #check} and {@link #status} wait, also those of other processes that
 * use the same cache.
 *
 * <p>The configuration is that of the time when this object was obtained. Instances are immutable
 * and cheap; obtain a new one to pick up a changed file.
 */
public final class Network {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** How long work in the background waits for locks, and may so delay ADD and DEL. */
  private static final Duration BACKGROUND_LOCK_TIMEOUT = Duration.ofMillis(50);

  private final NetworkConfig config;
  private final CniState cni;
  private final TraceContext trace;
  private final Optional<Path> file;

  Network(NetworkConfig config, CniState cni, TraceContext trace) {
    this(config, cni, trace, Optional.empty());
  }

  Network(NetworkConfig config, CniState cni, TraceContext trace, Optional<Path> file) {
    this.config = config;
    this.cni = cni;
    this.trace = trace;
    this.file = file;
  }

  /** Returns the network's name. */
  public String name() {
    return config.name();
  }

  /** Returns the network's configuration. */
  public NetworkConfig config() {
    return config;
  }

  /** Returns the file of the configuration; absent if the caller has parsed it. */
  public Optional<Path> file() {
    return file;
  }

  /**
   * Returns the same network with a trace that its operations belong to; executables find it in
   * their environment (TRACEPARENT, TRACESTATE, BAGGAGE).
   */
  public Network withTrace(TraceContext context) {
    return new Network(config, cni, requireNonNull(context, "context"), file);
  }

  /**
   * Returns the version of the specification that plugins are called with: the newest that the
   * configuration offers and that this library and every plugin support (SPEC section 1, "Version
   * considerations"). Runs executables if the configuration offers several.
   *
   * @throws CniException code 1 if there is no such version, code 7 if a plugin does not exist
   */
  public SpecVersion version() throws CniException {
    return new VersionNegotiation(config, cni.plugins()).negotiate();
  }

  /**
   * Returns the capabilities that the plugins of the chain declare: those whose arguments {@link
   * #add} takes.
   *
   * @throws CniException code 7 if the {@code capabilities} of a plugin are malformed
   */
  public NetworkCapabilities capabilities() throws CniException {
    return NetworkCapabilities.of(config);
  }

  /**
   * Attaches a container (ADD): calls the plugins in the order of the chain, each with the result
   * of the one before, and stores the last result in the cache.
   *
   * <p>If a plugin fails, what the chain has done is undone before this method throws, unless the
   * attachment existed before. Failures of that rollback are suppressed exceptions of the one that
   * is thrown. If the process dies instead, {@link #gc} or {@link #delete} cleans up.
   *
   * <p>A capability argument that no plugin of the chain declares is refused: a misspelt name, or a
   * plugin without {@code capabilities}, would otherwise go unnoticed until a port is closed.
   * libcni ignores such arguments. A runtime that has the same arguments for all networks selects
   * those that this one takes, by {@link #capabilities} and {@link CapabilityArgs#only}.
   *
   * @param attachment with the path of the container's namespace
   * @return the result of the chain, which {@link #check} and {@link #delete} will use
   * @throws CniException code 4 if the container id, the interface name or the namespace's path is
   *     malformed or missing, no plugin declares a capability that has an argument, or the cache
   *     file would have too long a name; code 1 or 7 as {@link #version}; code 5 if the result
   *     cannot be stored; code 11 at the deadline or an interrupt; otherwise the error of the
   *     plugin that failed
   */
  public Result add(Attachment attachment) throws CniException {
    requireNonNull(attachment, "attachment").requireValid();
    if (attachment.namespace().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "the path of the container's namespace (CNI_NETNS) is missing");
    }
    if (!attachment.capabilityArgs().isEmpty()) {
      capabilities().require(attachment.capabilityArgs().keySet());
    }
    CallContext context = cni.newContext(trace);
    try (var _ = cni.networkLock().shared(name(), context.deadline());
        var _ = cni.containerLocks().acquire(attachment.containerId(), context.deadline())) {
      return new AddOperation(cni, config, attachment, context).run();
    }
  }

  /**
   * Checks that an attachment is still as the last ADD or update left it (CHECK): calls all plugins
   * in the order of the chain with the result in the cache. The configuration, and those arguments
   * that the attachment does not have, are those in the cache. Does nothing if the configuration
   * says {@code disableCheck}.
   *
   * @throws CniException if plugins find something missing or different, with all {@linkplain
   *     CniException#findings findings}, causes first, and the code of the first error; code 1 if
   *     the version is below 0.4.0, which has no CHECK; code 4 or 11 as {@link #add}; code 5 or 6
   *     if the stored result cannot be read
   */
  public void check(Attachment attachment) throws CniException {
    requireNonNull(attachment, "attachment").requireValid();
    Verb.CHECK.requireDefinedIn(config.version());
    if (config.disableCheck()) {
      return;
    }
    CallContext context = cni.newContext(trace);
    try (var _ = cni.containerLocks().acquire(attachment.containerId(), context.deadline())) {
      new CheckOperation(cni, config, attachment, context).run();
    }
  }

  /**
   * Detaches a container (DEL): calls the plugins in the reverse order of the chain, and removes
   * the result from the cache. Succeeds if the attachment does not exist, or exists only in part. A
   * stored result that cannot be read is ignored.
   *
   * @param attachment the attachment; without a path if its namespace no longer exists. Generic
   *     arguments that are malformed are passed on; the plugins of this project ignore them in DEL.
   * @throws CniException code 4, 7 or 11 as {@link #add}; otherwise the error of the plugin that
   *     failed. The result stays in the cache then, so that the DEL can be repeated.
   */
  public void delete(Attachment attachment) throws CniException {
    requireNonNull(attachment, "attachment");
    Attachment.requireValid(attachment.id()); // malformed arguments do not stop DEL
    CallContext context = cni.newContext(trace);
    try (var _ = lockForDelete(context)) {
      delete(attachment, context);
    }
  }

  /**
   * Acquires the lock. DEL continues without it if its file cannot be created: the disk is full.
   */
  private NetworkLock.Held lockForDelete(CallContext context) throws CniException {
    try {
      return cni.networkLock().shared(name(), context.deadline());
    } catch (CniException e) {
      if (!e.is(ErrorCode.IO_FAILURE)) {
        throw e;
      }
      LOG.get().log(System.Logger.Level.WARNING, "DEL continues without a lock: " + e.getMessage());
      return () -> {};
    }
  }

  /** Deletes an attachment; the caller holds the network's lock. */
  void delete(Attachment attachment, CallContext context) throws CniException {
    try (var _ = cni.containerLocks().acquire(attachment.containerId(), context.deadline())) {
      new DeleteOperation(cni, config, attachment, context).run();
    }
  }

  /**
   * Changes an attachment while it is in use: its interface, addresses and established connections
   * stay. Plugins that the change concerns compare the attachment with the desired state and change
   * what differs; the cache then has the new state. If a step fails, the steps before are undone.
   *
   * <p>While it runs, ADD, DEL and GC on this network wait. If the process dies, the next update or
   * repair completes or undoes it; DEL removes what either state has made.
   *
   * @return what was changed
   * @throws CniException code 4 if the attachment is not in the cache, no plugin declares a
   *     capability whose argument is set, or the change is impossible without an interruption and
   *     does not allow one; nothing has been changed then. Code 7 if the desired configuration is
   *     invalid; otherwise the error of the step that failed
   */
  public UpdateReport update(AttachmentId id, AttachmentUpdate change) throws CniException {
    requireNonNull(change, "change");
    return inForeground(id, true, context -> operation(id, context).update(change, Mode.APPLY));
  }

  /**
   * Returns what {@link #update} would do, without changing anything.
   *
   * @throws CniException as {@link #update}, as far as it is known before the first change
   */
  public UpdateReport planUpdate(AttachmentId id, AttachmentUpdate change) throws CniException {
    requireNonNull(change, "change");
    return inForeground(id, false, context -> operation(id, context).update(change, Mode.DRY_RUN));
  }

  /**
   * Restores what {@link #check} would miss of an attachment, as {@link #update} without a change;
   * also of an attachment that the Go plugins made. What cannot be restored without an interruption
   * is in the report.
   *
   * @throws CniException code 4 if the attachment is not in the cache; otherwise the error of the
   *     comparison or the step that failed
   */
  public UpdateReport repair(AttachmentId id) throws CniException {
    return inForeground(id, true, context -> operation(id, context).repair(Mode.APPLY));
  }

  /**
   * Returns what {@link #repair} would do, without changing anything.
   *
   * @throws CniException as {@link #repair}
   */
  public UpdateReport planRepair(AttachmentId id) throws CniException {
    return inForeground(id, false, context -> operation(id, context).repair(Mode.DRY_RUN));
  }

  /**
   * As {@link #repair} or {@link #planRepair}, in the background: does not wait for operations on
   * the network or the container that take longer than a moment, so that it delays none.
   *
   * @throws CniException as {@link #repair}; code 11 if there is such an operation
   */
  UpdateReport repairInBackground(AttachmentId id, Mode mode) throws CniException {
    return inBackground(id, mode == Mode.APPLY, context -> operation(id, context).repair(mode));
  }

  /**
   * Deletes in the background what a repair has restored of an attachment while another runtime,
   * which does not know the locks of this library, was deleting it. Does nothing if the attachment
   * exists again.
   *
   * @throws CniException as {@link #delete}; code 11 as {@link #repairInBackground}
   */
  void deleteRemains(Attachment attachment) throws CniException {
    inBackground(
        attachment.id(),
        true,
        context -> {
          if (cni.cache().get(name(), attachment.id()).isEmpty()) {
            new DeleteOperation(cni, config, attachment, context).run();
          }
          return attachment;
        });
  }

  private UpdateOperation operation(AttachmentId id, CallContext context) {
    return new UpdateOperation(cni, config, id, context);
  }

  /** An operation on an attachment. */
  private interface Operation<T> {
    T run(CallContext context) throws CniException;
  }

  private <T> T inForeground(AttachmentId id, boolean exclusive, Operation<T> operation)
      throws CniException {
    CallContext context = cni.newContext(trace);
    return locked(id, exclusive, context, context.deadline(), operation);
  }

  private <T> T inBackground(AttachmentId id, boolean exclusive, Operation<T> operation)
      throws CniException {
    CallContext context = cni.newContext(trace);
    return locked(id, exclusive, context, Deadline.after(BACKGROUND_LOCK_TIMEOUT), operation);
  }

  private <T> T locked(
      AttachmentId id,
      boolean exclusive,
      CallContext context,
      Deadline forLocks,
      Operation<T> operation)
      throws CniException {
    Attachment.requireValid(id);
    try (var _ =
            exclusive
                ? cni.networkLock().exclusive(name(), forLocks)
                : cni.networkLock().shared(name(), forLocks);
        var _ = cni.containerLocks().acquire(id.containerId(), forLocks)) {
      return operation.run(context);
    }
  }

  /**
   * Removes what belongs to attachments that no longer exist (GC). First deletes the attachments in
   * the cache and those of interrupted ADDs that are not valid, as {@link #delete} does; then calls
   * every plugin with the valid attachments, to remove what belongs to any other. Continues after
   * failures.
   *
   * <p>While it runs, ADD and DEL on this network wait. Does nothing if the configuration says
   * {@code disableGC}. Below version 1.1.0 plugins have no GC, and only stale attachments are
   * deleted.
   *
   * @param valid every attachment of this network that still exists; the state of all others is
   *     removed
   * @return what was removed
   * @throws CniException if anything failed: a single failure itself, or an exception that has the
   *     code of the first failure, the messages of all, and each of them as a suppressed exception
   */
  public GcReport gc(Set<AttachmentId> valid) throws CniException {
    NullChecks.requireElements(valid, "valid");
    if (config.disableGc()) {
      return GcReport.nothing(name());
    }
    CallContext context = cni.newContext(trace);
    try (var _ = cni.networkLock().exclusive(name(), context.deadline())) {
      return new GcOperation(cni, this, valid, context).run();
    }
  }

  /**
   * Returns what {@link #gc} would do, without removing anything.
   *
   * @throws CniException if the attachments cannot be listed; code 11 at the deadline
   */
  public GcReport planGc(Set<AttachmentId> valid) throws CniException {
    NullChecks.requireElements(valid, "valid");
    if (config.disableGc()) {
      return GcReport.nothing(name());
    }
    CallContext context = cni.newContext(trace);
    try (var _ = cni.networkLock().shared(name(), context.deadline())) {
      return new GcOperation(cni, this, valid, context).plan();
    }
  }

  /**
   * Removes what belongs to attachments whose namespace or interface no longer exists, as {@link
   * #gc} with the {@linkplain #livingAttachments living} ones. Waits for ADDs in progress first.
   *
   * @return what was removed
   * @throws CniException as {@link #gc}
   */
  public GcReport gcDead() throws CniException {
    if (config.disableGc()) {
      return GcReport.nothing(name());
    }
    CallContext context = cni.newContext(trace);
    try (var _ = cni.networkLock().exclusive(name(), context.deadline())) {
      return new GcOperation(cni, this, livingAttachments(), context).run();
    }
  }

  /**
   * Returns the attachments to this network that exist: those in the cache whose namespace and
   * interface exist, those of which that is not known, and those whose namespace exists and whose
   * ADD made no interface. Interrupted ADDs are not among them.
   *
   * @throws CniException if the cache cannot be listed
   */
  public Set<AttachmentId> livingAttachments() throws CniException {
    return new KnownAttachments(cni, name()).living();
  }

  /**
   * Returns the attachments to this network that are known, whether or not they exist: those in the
   * cache and those of interrupted ADDs.
   *
   * @throws CniException if the cache cannot be listed
   */
  public Set<AttachmentId> knownAttachments() throws CniException {
    return new KnownAttachments(cni, name()).all();
  }

  /**
   * Checks that ADD could succeed now (STATUS): that a result could be stored, by writing a file
   * and removing it, and then by calling every plugin. Does nothing below version 1.1.0, which has
   * no STATUS.
   *
   * @throws CniException code 50 if the cache directory cannot be written to or a plugin is
   *     disabled; the error of the first plugin that cannot serve ADD, with code 50 or 51; code 1
   *     or 7 as {@link #version}
   */
  public void status() throws CniException {
    new StatusOperation(cni, config, cni.newContext(trace)).run();
  }

  /** Returns access to the addresses that the network's ipam plugin has assigned. */
  public NetworkAddresses addresses() {
    return new NetworkAddresses(cni, config, trace);
  }

  /**
   * Validates the configuration without attaching anything: its keys and values, that every plugin
   * exists and supports a version that the configuration offers, and each plugin's own keys. Runs
   * executables to ask for their versions; what they read is not known, and not judged. The present
   * content of the file is validated, if the configuration is from one.
   *
   * @return all problems, with their lines if the configuration is from a file; none if it is valid
   */
  public ValidationReport validate() {
    return new ValidationReport(
        List.of(
            file.isPresent()
                ? new ConfigValidator(cni).file(file.get())
                : new ConfigFileCheck(cni, file).run(config.json(), Optional.empty())));
  }

  /**
   * Returns the cache entry of an attachment: its result, and the arguments and configuration of
   * its ADD.
   *
   * @return absent if it is not attached, or was attached by a libcni before 0.8, which stored the
   *     result alone
   * @throws CniException code 4 if the id is malformed, code 5 or 6 if the entry cannot be read
   */
  public Optional<CachedAttachment> cachedAttachment(AttachmentId id) throws CniException {
    Attachment.requireValid(id);
    return cni.cache().get(name(), id);
  }

  /**
   * Returns the cached result of an attachment.
   *
   * @return absent if it is not attached
   * @throws CniException code 4 if the id is malformed, code 5 or 6 if the result cannot be read
   */
  public Optional<Result> cachedResult(AttachmentId id) throws CniException {
    Attachment.requireValid(id);
    return cni.cache().result(name(), id, config.version());
  }
}
