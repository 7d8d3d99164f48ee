// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.api.internal.LazyLogger;
import java.util.List;
import java.util.Optional;

/** One CHECK through the chain of a network. The caller holds the lock of the container. */
final class CheckOperation {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final CniState cni;
  private final NetworkConfig config;
  private final Attachment attachment;
  private final CallContext context;

  CheckOperation(CniState cni, NetworkConfig config, Attachment attachment, CallContext context) {
    this.cni = cni;
    this.config = config;
    this.attachment = attachment;
    this.context = context;
  }

  /**
   * Calls the plugins with what is stored of the attachment. Continues after a plugin that finds a
   * difference.
   *
   * @throws CniException what the plugins found, as {@link CheckReport#throwIfAny}; code 11 at the
   *     deadline
   */
  void run() throws CniException {
    Optional<ResultCache.Content> content = cni.cache().read(config.name(), attachment.id());
    AttachmentState state = expectedState(content.flatMap(ResultCache.Content::entry));
    SpecVersion version = new VersionNegotiation(state.config(), cni.plugins()).negotiate();
    Verb.CHECK.requireDefinedIn(version);
    Optional<Result> previous =
        content.isEmpty() ? Optional.empty() : content.get().result(version);
    var report = new CheckReport(config.name());
    List<PluginConfig> plugins = state.config().plugins();
    for (PluginConfig plugin : plugins) {
      report.requireTime(context.deadline(), plugin.type());
      var target = state.attachment();
      var derived = plugin.forRequest(config.name(), version, target.capabilityArgs());
      List<PluginConfig> later = plugins.subList(plugins.indexOf(plugin) + 1, plugins.size());
      var request =
          new AttachmentRequest(derived, target, previous, context.withLaterPlugins(later));
      report.collect(cni.plugins(), request, plugin == plugins.getFirst());
    }
    try {
      report.throwIfAny();
    } catch (CniException e) {
      throw previous.isPresent() ? e : withoutResult(e);
    }
  }

  /**
   * Returns the error of plugins that were called without the result of the ADD, which most need.
   */
  private CniException withoutResult(CniException e) {
    String reason = cni.cache().notStored(config.name(), attachment.id()).getMessage();
    return new CniException(e.code(), reason, e.getMessage(), e);
  }

  /**
   * Returns what the attachment should be: what is stored of it, and the arguments that the caller
   * gives. A configuration that was not stored, or is invalid, is that of the network.
   */
  private AttachmentState expectedState(Optional<CachedAttachment> stored) {
    return stored.isEmpty()
        ? new AttachmentState(config, attachment)
        : new AttachmentState(storedConfig(stored.get()), stored.get().completing(attachment));
  }

  private NetworkConfig storedConfig(CachedAttachment stored) {
    try {
      return stored.config();
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "CHECK uses the present configuration", e);
      return config;
    }
  }
}
