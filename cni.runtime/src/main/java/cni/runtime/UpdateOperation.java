// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Differences.Change;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.Rollback;
import cni.api.SpecVersion;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One update or repair of an attachment: compares it with its desired state, makes the changes, and
 * stores the new state. The caller holds the network's lock exclusively and the container's lock.
 *
 * <p>If a change fails, those made before are undone. The {@link UpdateJournal} has both states
 * from before the first change until the last completion. While the old state is stored, an
 * interrupted update is made again; once the new one is stored, only its completions are.
 */
final class UpdateOperation {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final CniState cni;
  private final NetworkConfig network;
  private final AttachmentId id;
  private final CallContext context;

  /** A step for an update that was interrupted. */
  private List<UpdateReport.Step> interruption = List.of();

  UpdateOperation(CniState cni, NetworkConfig network, AttachmentId id, CallContext context) {
    this.cni = cni;
    this.network = network;
    this.id = id;
    this.context = context;
  }

  /** Whether the changes are made or only reported. */
  enum Mode {
    APPLY,
    DRY_RUN
  }

  /**
   * Restores the stored state, as far as that is possible without an interruption.
   *
   * @return the report, with the differences that remain
   * @throws CniException if a comparison or a change fails; all changes have been undone
   */
  UpdateReport repair(Mode mode) throws CniException {
    UpdateReport report = repair(finishInterrupted(mode), mode, List.of());
    boolean changed = report.steps().size() > report.unrepaired().size();
    // A plugin may only now see what is missing from a link that another one has made again.
    return changed && mode == Mode.APPLY
        ? report.followedBy(repair(stored(), mode, report.steps()))
        : report;
  }

  private UpdateReport repair(CachedAttachment stored, Mode mode, List<UpdateReport.Step> done)
      throws CniException {
    AttachmentState state = AttachmentState.of(stored);
    try (ChainComparison comparison = compare(stored, state, state)) {
      comparison.excludeRepeated(done);
      return apply(comparison, stored, state, state, mode);
    }
  }

  /**
   * Changes the stored state, and the attachment to it.
   *
   * @throws CniException code 4 if the change needs an interruption that it does not allow, before
   *     anything has been changed; otherwise as {@link #repair}
   */
  UpdateReport update(AttachmentUpdate change, Mode mode) throws CniException {
    CachedAttachment stored = finishInterrupted(mode);
    AttachmentState current = AttachmentState.of(stored);
    var desired =
        new AttachmentState(
            change.applyTo(current.config(), network), change.applyTo(current.attachment()));
    NetworkCapabilities.of(desired.config()).require(change.setCapabilities());
    try (ChainComparison comparison = compare(stored, current, desired)) {
      List<String> refusals = new ArrayList<>(comparison.refusals());
      comparison.steps().stream()
          .filter(step -> step.difference().change().isEmpty())
          .forEach(step -> refusals.add(step.difference().finding()));
      if (refusals.isEmpty()) {
        UpdateReport report = apply(comparison, stored, current, desired, mode);
        return mode == Mode.APPLY ? followUp(report, desired) : report;
      }
      if (!change.allowsRecreation()) {
        requireNoNewProblem(current.config(), desired.config());
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            ("%s; nothing has been changed. Allow recreation (--recreate) to delete the attachment"
                    + " and add it again, which ends its connections")
                .formatted(String.join("; ", refusals)));
      }
    }
    return recreate(stored, current, desired, mode);
  }

  /**
   * Requires that validation objects to nothing that the change has brought in: a misspelt key
   * cannot be changed because no plugin knows it, and recreation would not help.
   */
  private void requireNoNewProblem(NetworkConfig current, NetworkConfig desired)
      throws CniException {
    List<String> problems = new ArrayList<>(problems(desired));
    problems.removeAll(problems(current));
    if (!problems.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, String.join("; ", problems) + " Nothing has been changed");
    }
  }

  private List<String> problems(NetworkConfig config) {
    return new ConfigFileCheck(cni, Optional.empty())
        .run(config.json(), Optional.empty()).problems().stream()
            .map(ConfigProblem::description)
            .toList();
  }

  /**
   * Repairs what a change by the first plugin has removed that others need: a bridge that no longer
   * is to enable hairpin mode disables it, but portmap had found it enabled.
   */
  private UpdateReport followUp(UpdateReport report, AttachmentState desired) {
    String first = desired.config().plugins().getFirst().type();
    if (report.steps().stream().noneMatch(step -> step.plugin().equals(first))) {
      return report;
    }
    try {
      return report.followedBy(repair(stored(), Mode.APPLY, report.steps()));
    } catch (CniException e) {
      return report.withWarning("the repair after the update failed: " + e.getMessage());
    }
  }

  private CachedAttachment stored() throws CniException {
    return cni.cache()
        .live(network.name(), id)
        .orElseThrow(() -> cni.cache().notStored(network.name(), id));
  }

  /**
   * Completes an update that was interrupted, or reverts it if that fails, and returns what is
   * stored then.
   */
  private CachedAttachment finishInterrupted(Mode mode) throws CniException {
    CachedAttachment stored = stored();
    Optional<UpdateJournal.Entry> journaled = cni.updates().get(network.name(), id);
    if (journaled.isEmpty()) {
      return stored;
    }
    interruption = List.of(step(AttachmentState.of(stored), "an update was interrupted", "end it"));
    if (mode == Mode.DRY_RUN) {
      return stored;
    }
    try {
      finish(stored, journaled.get());
    } catch (CniException e) {
      throw e.withContext("completing an interrupted update");
    }
    removeFromJournal();
    return stored();
  }

  private void finish(CachedAttachment stored, UpdateJournal.Entry journaled) throws CniException {
    AttachmentState state = AttachmentState.of(stored);
    AttachmentState before = AttachmentState.of(journaled.before());
    AttachmentState desired = AttachmentState.of(journaled.desired());
    if (state.isSameAs(desired)) {
      try (ChainComparison comparison = compare(stored, before, desired, true)) {
        completeInterrupted(comparison);
      }
    } else if (state.isSameAs(before)
        && stored.resultJson().equals(journaled.before().resultJson())) { // else of an earlier ADD
      completeOrRevert(stored, journaled);
    }
  }

  private void completeOrRevert(CachedAttachment stored, UpdateJournal.Entry journaled)
      throws CniException {
    AttachmentState before = AttachmentState.of(journaled.before());
    AttachmentState desired = AttachmentState.of(journaled.desired());
    try {
      changeTo(stored, before, desired);
    } catch (CniException e) {
      try {
        changeTo(journaled.desired(), desired, before); // as an update back to what it was
      } catch (CniException again) {
        e.addSuppressed(again);
        throw e;
      }
    }
  }

  /**
   * Changes the attachment without an entry in the journal: that of the interrupted update stays.
   *
   * @param from the current state with its result
   */
  private void changeTo(CachedAttachment from, AttachmentState current, AttachmentState desired)
      throws CniException {
    try (ChainComparison comparison = compare(from, current, desired, true)) {
      if (!comparison.refusals().isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER, String.join("; ", comparison.refusals()));
      }
      makeChanges(comparison, desired, false);
      completeInterrupted(comparison);
    }
  }

  private void completeInterrupted(ChainComparison comparison) {
    complete(comparison)
        .forEach(it -> LOG.get().log(System.Logger.Level.WARNING, "interrupted update: " + it));
  }

  private ChainComparison compare(
      CachedAttachment stored, AttachmentState current, AttachmentState desired)
      throws CniException {
    return compare(stored, current, desired, false);
  }

  private ChainComparison compare(
      CachedAttachment stored,
      AttachmentState current,
      AttachmentState desired,
      boolean wasInterrupted)
      throws CniException {
    SpecVersion version = new VersionNegotiation(desired.config(), cni.plugins()).negotiate();
    SpecVersion written = ResultCache.assumedVersion(stored.resultJson(), version);
    Result result = ResultJson.read(stored.resultJson(), written);
    var comparison =
        new ChainComparison(cni, current, desired, result, version, wasInterrupted, context);
    try {
      comparison.run();
      return comparison;
    } catch (CniException | RuntimeException | Error e) {
      comparison.close();
      throw e;
    }
  }

  private UpdateReport apply(
      ChainComparison comparison,
      CachedAttachment stored,
      AttachmentState current,
      AttachmentState desired,
      Mode mode)
      throws CniException {
    List<String> warnings = List.of();
    if (mode == Mode.APPLY && current.isSameAs(desired)) {
      makeChanges(comparison, desired, true);
      warnings = complete(comparison);
    } else if (mode == Mode.APPLY) {
      ResultCacheEntry planned = entry(desired).with(comparison.result(), comparison.version());
      cni.updates().add(planned, entry(current).with(stored.resultJson()));
      warnings = applyJournaled(comparison, desired);
    }
    return report(comparison, warnings);
  }

  private List<String> applyJournaled(ChainComparison comparison, AttachmentState desired)
      throws CniException {
    try {
      makeChanges(comparison, desired, false);
    } catch (CniException | RuntimeException | Error e) {
      if (e.getSuppressed().length == 0) { // everything has been undone
        removeFromJournal();
      }
      throw e;
    }
    List<String> warnings = complete(comparison);
    if (warnings.isEmpty()) {
      removeFromJournal();
    }
    return warnings;
  }

  /** Makes the changes and stores the state; undoes everything if that fails. */
  private void makeChanges(ChainComparison comparison, AttachmentState desired, boolean sameState)
      throws CniException {
    var rollback = new Rollback();
    try {
      for (ChainComparison.Step step : comparison.steps()) {
        context.deadline().check("the update by " + step.plugin());
        if (step.difference().change().isPresent()) {
          Change change = step.difference().change().get();
          make(change, step.plugin());
          rollback.add(change.undo()::run);
        }
      }
      Result result = comparison.result();
      if (!sameState || !result.equals(comparison.original())) {
        cni.cache().put(entry(desired).with(result, comparison.version()));
      }
    } catch (CniException | RuntimeException | Error e) {
      rollback.undoAfter(e);
      throw e;
    }
  }

  private void make(Change change, String plugin) throws CniException {
    new PluginCall(network.name(), "update", plugin)
        .run(
            () -> {
              try {
                change.apply().run();
              } catch (IOException e) {
                throw IoErrors.failure(change.description(), e);
              }
            });
  }

  private ResultCacheEntry entry(AttachmentState state) throws CniException {
    return ResultCacheEntry.of(state.config(), state.attachment());
  }

  /** Runs the completions, and returns a warning for each that failed. */
  private static List<String> complete(ChainComparison comparison) {
    List<String> warnings = new ArrayList<>();
    for (Change completion : comparison.completions()) {
      try {
        completion.apply().run();
      } catch (CniException | IOException e) {
        warnings.add(completion.description() + " failed: " + e.getMessage());
      }
    }
    return warnings;
  }

  /** Removes the entry; a failure is only logged: the next update finds that nothing is to do. */
  private void removeFromJournal() {
    try {
      cni.updates().remove(network.name(), id);
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "the update has ended, but " + e.getMessage());
    }
  }

  private UpdateReport report(ChainComparison comparison, List<String> warnings) {
    List<UpdateReport.Step> steps = new ArrayList<>(interruption);
    comparison.steps().forEach(it -> steps.add(it.toReport()));
    return new UpdateReport(network.name(), id, steps, false, warnings);
  }

  private static UpdateReport.Step step(AttachmentState state, String finding, String change) {
    String plugin = state.config().plugins().getFirst().type();
    return new UpdateReport.Step(plugin, finding, Optional.of(change));
  }

  /** Deletes the attachment and adds it in its desired state; if that fails, as it was. */
  private UpdateReport recreate(
      CachedAttachment stored, AttachmentState current, AttachmentState desired, Mode mode)
      throws CniException {
    if (mode == Mode.APPLY) {
      Optional<AttachmentState> retaining = RetainedAddresses.request(stored, desired);
      new DeleteOperation(cni, current.config(), current.attachment(), context).run();
      try {
        if (retaining.isEmpty() || !addWithAddresses(retaining.get(), desired)) {
          add(desired);
        }
      } catch (CniException e) {
        readd(current, e);
        throw e;
      }
    }
    UpdateReport.Step step =
        step(desired, "a change needs an interruption", "delete the attachment and add it again");
    return new UpdateReport(network.name(), id, List.of(step), true, List.of());
  }

  private Result add(AttachmentState state) throws CniException {
    return new AddOperation(cni, state.config(), state.attachment(), context).run();
  }

  /** Adds with a request for addresses, and stores the state without it; false if ADD fails. */
  private boolean addWithAddresses(AttachmentState retaining, AttachmentState desired)
      throws CniException {
    Result result;
    try {
      result = add(retaining);
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "the addresses cannot be kept: " + e.getMessage());
      return false;
    }
    SpecVersion version = new VersionNegotiation(desired.config(), cni.plugins()).negotiate();
    cni.cache().put(entry(desired).with(result, version));
    return true;
  }

  private void readd(AttachmentState state, CniException failure) {
    Attachment attachment = state.attachment();
    try {
      new AddOperation(cni, state.config(), attachment, context.forCleanup()).run();
    } catch (CniException e) {
      failure.addSuppressed(e);
    }
  }
}
