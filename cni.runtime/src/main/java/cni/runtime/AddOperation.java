// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One ADD through the chain of a network, with its rollback if a plugin fails. The caller holds the
 * locks of the network and of the container.
 */
final class AddOperation {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final CniState cni;
  private final NetworkConfig config;
  private final Attachment attachment;
  private final CallContext context;
  private final Rollback rollback = new Rollback();

  /** The number of plugins that the rollback calls. */
  private int toUndo;

  /** The context of the whole rollback; set when it starts. */
  private @Nullable CallContext cleanup;

  private final ResultCacheEntry entry;
  private Optional<Result> previous = Optional.empty();

  /** What an attachment has in the result cache and the journal when its ADD starts. */
  private enum PriorState {
    /** Nothing: this ADD makes the journal entry, and undoes everything if it fails. */
    ABSENT,

    /**
     * A journal entry: an earlier ADD was interrupted, or this one has replaced a stale result by
     * the entry. If this ADD fails, its own changes are undone but the entry stays, because the
     * earlier ADD may have left changes that GC has to remove. A superfluous entry only makes GC
     * call DEL once.
     */
    INTERRUPTED,

    /** A live result: the attachment exists. No plugin gets a DEL, which would remove it. */
    ATTACHED,

    /** A live result, and the journal entry of an ADD interrupted after it stored the result. */
    ATTACHED_AND_JOURNALED;

    static PriorState of(ResultCache.Stored stored, boolean journaled) {
      return switch (stored) {
        case LIVE -> journaled ? ATTACHED_AND_JOURNALED : ATTACHED;
        case STALE -> INTERRUPTED;
        case ABSENT -> journaled ? INTERRUPTED : ABSENT;
      };
    }

    boolean isAttached() {
      return this == ATTACHED || this == ATTACHED_AND_JOURNALED;
    }

    boolean isJournaled() {
      return this == INTERRUPTED || this == ATTACHED_AND_JOURNALED;
    }
  }

  AddOperation(CniState cni, NetworkConfig config, Attachment attachment, CallContext context)
      throws CniException {
    this.cni = cni;
    this.config = config;
    this.attachment = attachment;
    this.entry = ResultCacheEntry.of(config, attachment);
    this.context = cni.journal().lockFile(entry).map(context::withLockFile).orElse(context);
  }

  /**
   * Calls every plugin of the chain and stores the result.
   *
   * @throws CniException if that fails. What this ADD did has then been undone, unless the
   *     attachment existed before: its plugins get no DEL.
   */
  Result run() throws CniException {
    ResultCache.Stored stored = stored();
    // All plugins are found, and agree on a version, before the first one is called.
    List<PluginRegistry.ResolvedPlugin> chain = cni.plugins().resolveChain(config);
    new ChainOrder(config, chain.stream().map(it -> it.plugin().role()).toList()).require();
    SpecVersion version = new VersionNegotiation(config, cni.plugins()).negotiate(chain);
    boolean journaled = cni.journal().has(config.name(), attachment.id());
    PriorState prior = PriorState.of(stored, journaled);
    if (journaled) {
      cni.journal().awaitExecutables(config.name(), attachment.id(), context.deadline());
    }
    if (prior == PriorState.ABSENT || stored == ResultCache.Stored.STALE) {
      cni.journal().add(entry); // GC finds the attachment if this process dies
    }
    if (stored == ResultCache.Stored.STALE) {
      // After an ADD that fails or is killed, DEL must not take it for the result of that ADD.
      cni.cache().remove(config.name(), attachment.id());
    }
    try {
      for (int i = 0; i < chain.size(); i++) {
        PluginConfig plugin = config.plugins().get(i);
        context.deadline().check("ADD by " + plugin.type());
        add(plugin, version, chain.get(i), prior);
      }
      Result result = previous.orElseThrow();
      store(entry.with(result, version), prior);
      return result;
    } catch (CniException | RuntimeException | Error e) {
      cleanup = context.forCleanup();
      boolean undone = rollback.undoAfter(e).getSuppressed().length == 0;
      if (undone && prior == PriorState.ABSENT) {
        removeFromJournal();
      }
      throw e;
    }
  }

  /**
   * Returns what is stored of the attachment. A result is stale, too, if the namespace lacks the
   * interface that it names: the container was replaced without a DEL.
   */
  private ResultCache.Stored stored() throws CniException {
    ResultCache.Stored stored = cni.cache().requireStorable(config.name(), attachment.id());
    boolean replaced = stored == ResultCache.Stored.LIVE && isInterfaceGone();
    return replaced ? ResultCache.Stored.STALE : stored;
  }

  private boolean isInterfaceGone() throws CniException {
    String name = attachment.id().interfaceName();
    Optional<Result> result =
        cni.cache().result(config.name(), attachment.id(), SpecVersion.CURRENT);
    boolean hadInterface = result.flatMap(it -> it.find(name, attachment.sandbox())).isPresent();
    if (!hadInterface) {
      return false;
    }
    try (NetNs netns = NetNs.open(attachment.namespace().orElseThrow());
        RouteSocket routes = RouteSocket.open(netns)) {
      return routes.link(name).isEmpty();
    } catch (IOException e) {
      return false; // the plugins will report it
    }
  }

  private void store(ResultCacheEntry complete, PriorState prior) throws CniException {
    if (prior == PriorState.ABSENT) {
      cni.cache().put(complete, cni.journal());
    } else {
      cni.cache().put(complete);
    }
    if (prior.isJournaled()) {
      removeFromJournal();
    }
  }

  /** Removes the entry; a failure is only logged, because it does not change how the ADD ended. */
  private void removeFromJournal() {
    try {
      cni.journal().remove(config.name(), attachment.id());
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "ADD has ended, but " + e.getMessage());
    }
  }

  private void add(
      PluginConfig plugin,
      SpecVersion version,
      PluginRegistry.ResolvedPlugin resolved,
      PriorState prior)
      throws CniException {
    PluginConfig derived = plugin.forRequest(config.name(), version, attachment.capabilityArgs());
    var request = new AttachmentRequest(derived, attachment, previous, context);
    var call = new PluginCall(config.name(), Verb.ADD, plugin.type());
    boolean undo = !prior.isAttached();
    try {
      previous = Optional.of(resolved.plugin().add(request));
    } catch (CniException e) {
      // A module that throws CniException has undone its own changes; a DEL could also remove what
      // existed before. Executables need not do so, and get a DEL even if their ADD fails.
      undo &= !resolved.isInProcess() || IsolatedCall.isContractViolation(e);
      throw call.failure(e);
    } catch (RuntimeException | LinkageError | StackOverflowError e) {
      throw call.unexpected(e);
    } finally {
      if (undo) {
        toUndo++;
        rollback.add(() -> resolved.plugin().delete(rollbackRequest(derived, version)));
      }
    }
  }

  /**
   * Returns the request of a DEL in the rollback. Its previous result is that of the last plugin
   * that succeeded, for all plugins, as DEL passes the final result to all. Its deadline is a share
   * of the time left for the rollback, so that a plugin that hangs leaves time for the others.
   */
  private AttachmentRequest rollbackRequest(PluginConfig derived, SpecVersion version) {
    Optional<Result> last = version.atLeast(SpecVersion.V0_4_0) ? previous : Optional.empty();
    CallContext all = requireNonNull(cleanup);
    var share = Deadline.after(all.deadline().remaining().dividedBy(toUndo--));
    return new AttachmentRequest(derived, attachment, last, all.withDeadline(share));
  }
}
