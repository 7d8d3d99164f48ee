// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Differences.Difference;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.api.Verb;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The comparison of an attachment with its desired state by every plugin of the chain. Changes
 * nothing; the steps that it finds are made by {@link UpdateOperation}.
 *
 * <p>A plugin that is in both chains compares. One that the desired chain adds gets ADD, one that
 * it lacks gets DEL. One that cannot compare, such as an executable, gets CHECK while its part of
 * the desired state is unchanged, and otherwise DEL and ADD.
 */
final class ChainComparison implements AutoCloseable {
  private final CniState cni;
  private final AttachmentState current;
  private final AttachmentState desired;
  private final SpecVersion version;
  private final boolean wasInterrupted;
  private final CallContext context;

  private final List<Step> steps = new ArrayList<>();
  private final List<String> refusals = new ArrayList<>();
  private final List<Differences> differencesByPlugin = new ArrayList<>();
  private final Result original;
  private Result result;

  /** Interfaces that ADDs of single plugins have reported while the changes were made. */
  private final List<Result.Interface> reported = new ArrayList<>();

  /** One difference, with the plugin that found it. */
  record Step(String plugin, Difference difference) {
    /** Returns what the report says of it. */
    UpdateReport.Step toReport() {
      Optional<String> change = difference.change().map(Differences.Change::description);
      return new UpdateReport.Step(plugin, difference.finding(), change);
    }
  }

  /**
   * Creates the comparison.
   *
   * @param result the stored result
   * @param version the version that plugins are called with
   * @param wasInterrupted whether an interrupted update is made again: ADDs of new plugins may have
   *     left something
   */
  ChainComparison(
      CniState cni,
      AttachmentState current,
      AttachmentState desired,
      Result result,
      SpecVersion version,
      boolean wasInterrupted,
      CallContext context) {
    this.cni = cni;
    this.current = current;
    this.desired = desired;
    this.original = result;
    this.result = result;
    this.version = version;
    this.wasInterrupted = wasInterrupted;
    this.context = context;
  }

  /**
   * Compares.
   *
   * @throws CniException if a plugin cannot compare or the desired state is invalid
   */
  void run() throws CniException {
    ChainMatch match = ChainMatch.of(current.config().plugins(), desired.config().plugins());
    refusals.addAll(match.refusals());
    if (!refusals.isEmpty()) {
      return;
    }
    for (PluginConfig plugin : match.removed().reversed()) {
      addStep(
          plugin.type(),
          "plugin " + plugin.type() + " is no longer in the chain",
          "run DEL by " + plugin.type(),
          () -> delete(plugin, current, context),
          () -> add(plugin, current, context.forCleanup()));
    }
    for (ChainMatch.Pair pair : match.pairs()) {
      PluginConfig plugin = pair.desired();
      context.deadline().check("comparing by " + plugin.type());
      if (pair.current().isPresent()) {
        call("comparison", plugin.type()).run(() -> compare(pair.current().get(), plugin, pair));
      } else {
        addStep(
            plugin.type(),
            "plugin " + plugin.type() + " is new in the chain",
            "run ADD by " + plugin.type(),
            () -> addNew(plugin),
            () -> delete(plugin, desired, context.forCleanup()));
      }
    }
  }

  private void compare(PluginConfig before, PluginConfig after, ChainMatch.Pair pair)
      throws CniException {
    NetworkPlugin plugin = cni.plugins().find(after.type());
    CallContext inChain = context.withLaterPlugins(later(after));
    AttachmentRequest currentRequest = request(before, current, original, inChain);
    AttachmentRequest desiredRequest = request(after, desired, inChain);
    Set<String> changed = ChangedKeys.between(currentRequest.config(), desiredRequest.config());
    Optional<UpdatablePlugin> updatable = plugin.updatable();
    if (updatable.isEmpty()) {
      compareByCheck(plugin, before, after, pair, changed);
      return;
    }
    List<String> unchangeable =
        ChangedKeys.unchangeable(changed, plugin, desiredRequest.config(), cni.plugins());
    if (!unchangeable.isEmpty()) {
      refuse(after.type(), unchangeable);
      return;
    }
    var differences = new Differences();
    differencesByPlugin.add(differences);
    result =
        updatable.get().compare(new UpdateRequest(currentRequest, desiredRequest), differences);
    differences.list().forEach(it -> steps.add(new Step(after.type(), it)));
  }

  /** Returns the plugins that follow in the desired chain. */
  private List<PluginConfig> later(PluginConfig plugin) {
    List<PluginConfig> all = desired.config().plugins();
    return all.subList(all.indexOf(plugin) + 1, all.size());
  }

  /** Handles a plugin that cannot compare: an executable, or a module of another project. */
  private void compareByCheck(
      NetworkPlugin plugin,
      PluginConfig before,
      PluginConfig after,
      ChainMatch.Pair pair,
      Set<String> changed)
      throws CniException {
    String type = after.type();
    boolean unchanged =
        changed.isEmpty() && current.attachment().args().equals(desired.attachment().args());
    Optional<String> finding =
        unchanged ? checkFinding(plugin, after) : Optional.of(type + " gets other values");
    if (!unchanged && pair.isFirst()) {
      refuse(type, changed.isEmpty() ? List.of("CNI_ARGS") : List.copyOf(changed));
    } else if (finding.isPresent() && pair.isFirst()) {
      addUnchangeable(type, finding.get());
    } else if (finding.isPresent()) {
      addStep(
          type,
          finding.get(),
          "run DEL and ADD by " + type,
          () -> replace(before, current, after, desired, context),
          () -> replace(after, desired, before, current, context.forCleanup()));
    }
  }

  private Optional<String> checkFinding(NetworkPlugin plugin, PluginConfig config)
      throws CniException {
    if (desired.config().disableCheck() || !Verb.CHECK.isDefinedIn(version)) {
      return Optional.empty();
    }
    try {
      plugin.check(request(config, desired, context));
      return Optional.empty();
    } catch (CniException e) {
      return Optional.of(e.getMessage());
    }
  }

  private void refuse(String type, List<String> keys) {
    refusals.add(
        "%s of plugin %s cannot change while the container is attached"
            .formatted(String.join(", ", keys), type));
  }

  private void addUnchangeable(String type, String finding) {
    steps.add(new Step(type, new Difference(finding, Optional.empty())));
  }

  private void addStep(
      String type,
      String finding,
      String description,
      Differences.Action apply,
      Differences.Action undo) {
    var change = new Differences.Change(description, apply, undo);
    steps.add(new Step(type, new Difference(finding, Optional.of(change))));
  }

  private void replace(
      PluginConfig before,
      AttachmentState from,
      PluginConfig after,
      AttachmentState to,
      CallContext context)
      throws CniException, IOException {
    try {
      delete(before, from, context);
      add(after, to, context);
    } catch (CniException | IOException e) {
      try {
        add(before, from, context.forCleanup());
      } catch (CniException again) {
        e.addSuppressed(again);
      }
      throw e;
    }
  }

  private void addNew(PluginConfig plugin) throws CniException, IOException {
    if (wasInterrupted) {
      delete(plugin, desired, context);
    }
    add(plugin, desired, context);
  }

  private void add(PluginConfig plugin, AttachmentState state, CallContext context)
      throws CniException {
    var call = new PluginCall(state.config().name(), Verb.ADD, plugin.type());
    call.run(
        () -> {
          Result after = cni.plugins().find(plugin.type()).add(request(plugin, state, context));
          after.interfaces().stream()
              .filter(it -> result.find(it.name(), it.sandbox()).isEmpty())
              .forEach(reported::add);
        });
  }

  private void delete(PluginConfig plugin, AttachmentState state, CallContext context)
      throws CniException, IOException {
    new PluginCall(state.config().name(), Verb.DEL, plugin.type())
        .run(() -> cni.plugins().find(plugin.type()).delete(request(plugin, state, context)));
    result = withoutDeleted(result);
  }

  private AttachmentRequest request(PluginConfig plugin, AttachmentState state, CallContext context)
      throws CniException {
    return request(plugin, state, result, context);
  }

  private AttachmentRequest request(
      PluginConfig plugin, AttachmentState state, Result previous, CallContext context)
      throws CniException {
    Attachment attachment = state.attachment();
    PluginConfig derived =
        plugin.forRequest(state.config().name(), version, attachment.capabilityArgs());
    return new AttachmentRequest(derived, attachment, Optional.of(previous), context);
  }

  private PluginCall call(String operation, String type) {
    return new PluginCall(desired.config().name(), operation, type);
  }

  /** Excludes changes that have been made before, and did not remove their differences. */
  void excludeRepeated(List<UpdateReport.Step> done) {
    steps.replaceAll(
        step ->
            done.contains(step.toReport())
                ? new Step(step.plugin(), withoutChange(step.difference()))
                : step);
  }

  private static Difference withoutChange(Difference it) {
    return new Difference(it.kind(), it.finding(), it.cause(), Optional.empty());
  }

  /** Returns the differences, in the order in which their changes have to be made. */
  List<Step> steps() {
    return List.copyOf(steps);
  }

  /** Returns the version that plugins are called with. */
  SpecVersion version() {
    return version;
  }

  /** Returns what cannot change without deleting the attachment and adding it again. */
  List<String> refusals() {
    return List.copyOf(refusals);
  }

  /** Returns the actions that follow a successful update. */
  List<Differences.Change> completions() {
    return differencesByPlugin.stream().flatMap(it -> it.completions().stream()).toList();
  }

  /** Returns the stored result. */
  Result original() {
    return original;
  }

  /** Returns the result of the attachment after all changes. */
  Result result() {
    List<Result.Interface> interfaces = new ArrayList<>(result.interfaces());
    interfaces.addAll(reported);
    return result.withInterfaces(interfaces);
  }

  /** Returns the result without interfaces of the host that the DEL of a plugin has deleted. */
  private Result withoutDeleted(Result before) throws IOException {
    Set<String> existing = new HashSet<>();
    try (RouteSocket host = RouteSocket.open(context.hostNamespace())) {
      for (Result.Interface it : before.interfaces()) {
        if (it.isOnHost() && host.link(it.name()).isPresent()) {
          existing.add(it.name());
        }
      }
    }
    return before.withoutInterfaces(it -> it.isOnHost() && !existing.contains(it.name()));
  }

  @Override
  public void close() {
    differencesByPlugin.forEach(Differences::close);
  }
}
