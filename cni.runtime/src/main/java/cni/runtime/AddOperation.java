package cni.runtime;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.api.internal.LazyLogger;
import java.util.List;
import java.util.Optional;

/** One ADD through a chain, and how it is taken back when it fails. */
final class AddOperation {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final Cni cni;
  private final NetworkConfig config;
  private final Attachment attachment;
  private final CallContext context;
  private final Rollback rollback = new Rollback();
  private final ResultCacheEntry entry;
  private Optional<Result> previous = Optional.empty();

  /** Whether this ADD has noted the attachment. */
  private boolean noted;

  /** Whether an ADD before that died has. */
  private boolean before;

  /** Whether there is an attachment already, which taking this one back would take down. */
  private boolean again;

  AddOperation(Cni cni, NetworkConfig config, Attachment attachment, CallContext context) {
    this.cni = cni;
    this.config = config;
    this.attachment = attachment;
    this.context = context;
    this.entry = ResultCacheEntry.of(config, attachment);
  }

  /** Goes through the chain and keeps the result, or leaves nothing behind. */
  Result run() throws CniException {
    again = cni.cache().requireRoom(config.name(), attachment.id());
    try {
      List<PluginRegistry.ResolvedPlugin> chain =
          cni.plugins().chain(config); // all before any begins
      SpecVersion version = new VersionNegotiation(config, cni.plugins()).negotiate(chain);
      begin();
      for (int i = 0; i < chain.size(); i++) {
        PluginConfig plugin = config.plugins().get(i);
        context.deadline().check("ADD by " + plugin.type());
        add(plugin, version, chain.get(i));
      }
      Result result = previous.orElseThrow();
      Optional<ResultCache> note = noted ? Optional.of(cni.journal()) : Optional.empty();
      cni.cache().put(entry.with(result, version), note);
      endAll();
      return result;
    } catch (CniException | RuntimeException | Error e) {
      if (rollback.undoAfter(e).getSuppressed().length == 0) {
        end();
      }
      throw e;
    }
  }

  /** Notes the attachment, so that GC finds it if this process dies before the result is kept. */
  private void begin() throws CniException {
    before = cni.journal().has(config.name(), attachment.id());
    if (!again && !before) {
      cni.journal().addPending(entry);
      noted = true;
    }
  }

  /** The attachment is whole now, whoever noted it: a note of this ADD has become the result. */
  private void endAll() {
    noted = before;
    end();
  }

  /**
   * Removes the note, if this ADD made it: one that was there before stands for what an ADD that
   * died has left, which this one has not taken back. A note too many only costs GC a DEL.
   */
  private void end() {
    try {
      if (noted) {
        cni.journal().remove(config.name(), attachment.id());
      }
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "ADD has ended, but " + e.getMessage());
    }
  }

  private void add(PluginConfig plugin, SpecVersion version, PluginRegistry.ResolvedPlugin resolved)
      throws CniException {
    PluginConfig derived = plugin.forRequest(config.name(), version, attachment.capabilityArgs());
    var request = new AttachmentRequest(derived, attachment, previous, context);
    var step = new PluginCall(config.name(), Verb.ADD, plugin.type());
    boolean keep = again;
    try {
      previous = Optional.of(resolved.plugin().add(request));
    } catch (CniException e) {
      // A module that fails takes back what it did, and only it knows what was there before. An
      // executable is known not to, and gets a DEL even when it fails.
      keep |= resolved.inProcess() && !IsolatedPlugin.isContractViolation(e);
      throw step.failure(e);
    } catch (RuntimeException e) {
      throw step.unexpected(e);
    } finally {
      if (!keep) {
        rollback.add(() -> resolved.plugin().delete(cleanup(derived, version)));
      }
    }
  }

  /** As DEL derives it: with what there is by then. */
  private AttachmentRequest cleanup(PluginConfig derived, SpecVersion version) {
    Optional<Result> last = version.atLeast(SpecVersion.V0_4_0) ? previous : Optional.empty();
    return new AttachmentRequest(derived, attachment, last, context.forCleanup());
  }
}
