// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.NetworkConfig;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.api.internal.CniRunnable;
import cni.api.internal.LazyLogger;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/**
 * One DEL through the chain of a network. The caller holds the locks of the network and of the
 * container.
 *
 * <p>The configuration may have changed since the attachment was made or updated. Plugins of the
 * stored configuration, and of an update that was interrupted, that the network's configuration
 * does not have in the same form get DEL as well, before the others. If one of them fails and its
 * configuration could have been updated to the present one, DEL goes on: the plugin itself says
 * that it manages the attachment by the present one, and the earlier one may lead nowhere any more,
 * such as the address of a server that has moved.
 */
final class DeleteOperation {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final CniState cni;
  private final NetworkConfig config;
  private final Attachment attachment;
  private final CallContext context;

  DeleteOperation(CniState cni, NetworkConfig config, Attachment attachment, CallContext context) {
    this.cni = cni;
    this.config = config;
    this.attachment = attachment;
    this.context = context;
  }

  /**
   * Calls the plugins and removes what is stored.
   *
   * @throws CniException the error of the plugin that failed; what is stored stays then
   */
  void run() throws CniException {
    boolean journaled =
        cni.journal().awaitExecutables(config.name(), attachment.id(), context.deadline());
    SpecVersion version = new VersionNegotiation(config, cni.plugins()).negotiateOrNewest();
    Optional<ResultCache.Content> content = content();
    Optional<Result> previous = previous(content, version);
    List<ObjectNode> own = config.plugins().stream().map(PluginConfig::json).toList();
    List<ObjectNode> done = new ArrayList<>(own);
    for (AttachmentState earlier : earlierStates(content)) {
      for (PluginConfig plugin : earlier.config().plugins().reversed()) {
        if (!done.contains(plugin.json())) {
          done.add(plugin.json());
          deleteEarlier(plugin, earlier, previous);
        }
      }
    }
    Attachment target = withStoredArguments(content);
    for (PluginConfig plugin : config.plugins().reversed()) {
      delete(plugin, target, version, previous);
    }
    removeStored(journaled);
  }

  /** Reads what is stored; absent, with a warning, if it cannot be read. */
  private Optional<ResultCache.Content> content() {
    try {
      return cni.cache().read(config.name(), attachment.id());
    } catch (CniException e) {
      return withoutStoredResult(e);
    }
  }

  /** Returns the attachment with the stored arguments where the caller gives none. */
  private Attachment withStoredArguments(Optional<ResultCache.Content> content) {
    Optional<CachedAttachment> stored = content.flatMap(ResultCache.Content::entry);
    if (stored.isEmpty()) {
      return attachment;
    }
    Attachment completed = stored.get().completing(attachment);
    // Without a path the namespace no longer exists; another one may be there by now.
    return attachment.namespace().isEmpty() ? completed.withoutNamespace() : completed;
  }

  private static <T> Optional<T> withoutStoredResult(CniException e) {
    LOG.get()
        .log(
            System.Logger.Level.WARNING,
            "DEL continues without the stored result: " + e.getMessage());
    return Optional.empty();
  }

  /** Returns what the attachment was made as, and what an interrupted update made of it. */
  private List<AttachmentState> earlierStates(Optional<ResultCache.Content> content) {
    List<AttachmentState> states = new ArrayList<>();
    add(
        states,
        () -> cni.updates().get(config.name(), attachment.id()).map(UpdateJournal.Entry::desired));
    add(states, () -> content.flatMap(ResultCache.Content::entry));
    return states;
  }

  /** Reads a stored entry. */
  private interface EntryReader {
    Optional<CachedAttachment> read() throws CniException;
  }

  /** Adds the state of an entry; one that cannot be read is ignored, as DEL has to go on. */
  private static void add(List<AttachmentState> states, EntryReader reader) {
    try {
      Optional<CachedAttachment> entry = reader.read();
      if (entry.isPresent() && !entry.get().configText().isEmpty()) {
        states.add(AttachmentState.of(entry.get()));
      }
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "DEL continues without an entry: " + e.getMessage());
    }
  }

  /** Deletes by a plugin of an earlier configuration, which may no longer exist. */
  private void deleteEarlier(PluginConfig plugin, AttachmentState state, Optional<Result> previous)
      throws CniException {
    try {
      cni.plugins().find(plugin.type());
    } catch (CniException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "DEL continues without a plugin of the stored configuration: " + e.getMessage());
      return;
    }
    SpecVersion version = new VersionNegotiation(state.config(), cni.plugins()).negotiateOrNewest();
    var target =
        new Attachment(
            attachment.id(),
            attachment.namespace(),
            state.attachment().args(),
            state.attachment().capabilityArgs());
    try {
      delete(plugin, target, version, previous);
    } catch (CniException e) {
      if (!isUpdatableToPresent(plugin, state.config())) {
        throw e;
      }
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "DEL continues with the present configuration of {0}, as it failed with the stored one:"
                  + " {1}",
              plugin.type(),
              e.getMessage());
    }
  }

  /**
   * Returns whether an update could replace a plugin's earlier configuration by the present one.
   */
  private boolean isUpdatableToPresent(PluginConfig plugin, NetworkConfig earlier) {
    for (ChainMatch.Pair pair : ChainMatch.of(earlier.plugins(), config.plugins()).pairs()) {
      if (pair.current().filter(it -> it == plugin).isPresent()) {
        return isUpdatable(plugin, pair.desired());
      }
    }
    return false;
  }

  private boolean isUpdatable(PluginConfig earlier, PluginConfig present) {
    try {
      Set<String> changed = ChangedKeys.between(earlier, present);
      NetworkPlugin found = cni.plugins().find(present.type());
      return ChangedKeys.unchangeable(changed, found, present, cni.plugins()).isEmpty();
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "the present configuration is not comparable", e);
      return false;
    }
  }

  private void delete(
      PluginConfig plugin, Attachment target, SpecVersion version, Optional<Result> previous)
      throws CniException {
    context.deadline().check("DEL by " + plugin.type());
    PluginConfig derived = plugin.forRequest(config.name(), version, target.capabilityArgs());
    var request = new AttachmentRequest(derived, target, previous, context);
    new PluginCall(config.name(), Verb.DEL, plugin.type())
        .run(() -> cni.plugins().find(plugin.type()).delete(request));
  }

  /** Returns the stored result; absent, with a warning, if it is none. */
  private static Optional<Result> previous(
      Optional<ResultCache.Content> content, SpecVersion version) {
    if (!version.atLeast(SpecVersion.V0_4_0)) {
      return Optional.empty(); // DEL had no previous result before
    }
    try {
      return content.isEmpty() ? Optional.empty() : content.get().result(version);
    } catch (CniException e) {
      return withoutStoredResult(e);
    }
  }

  private void removeStored(boolean journaled) {
    removeFile(() -> cni.cache().remove(config.name(), attachment.id()));
    removeFile(() -> cni.updates().remove(config.name(), attachment.id()));
    if (journaled) {
      removeFile(() -> cni.journal().remove(config.name(), attachment.id()));
    }
  }

  /** Removes a file. A failure is only logged: the plugins have succeeded, so DEL is done. */
  private static void removeFile(CniRunnable removal) {
    try {
      removal.run();
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "DEL is done, but " + e.getMessage());
    }
  }
}
