// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Differences.Change;
import cni.api.Differences.Difference;
import cni.api.Result;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * Calls a plugin as the runtime does to update or repair an attachment, and requires what holds for
 * every plugin: a comparison changes nothing, a second one after all changes finds nothing, and
 * changes that are undone leave the state that was there before.
 *
 * <pre>{@code
 * var tester = new UpdateTester(plugin, request, () -> HostSnapshot.of(host.netns(), container));
 * assertEquals(List.of("..."), tester.compare());
 * tester.requireUndo();
 * Result updated = tester.apply();
 * }</pre>
 */
public final class UpdateTester {
  private final UpdatablePlugin plugin;
  private final UpdateRequest request;
  private final StateReader state;

  /**
   * Creates a tester.
   *
   * @param request {@link UpdateRequest#unchanged} for a repair
   * @param state reads all that the plugin may change
   */
  public UpdateTester(UpdatablePlugin plugin, UpdateRequest request, StateReader state) {
    this.plugin = plugin;
    this.request = request;
    this.state = state;
  }

  /** Takes a snapshot of what a plugin may change. */
  @FunctionalInterface
  public interface StateReader {
    /** Takes the snapshot. */
    HostSnapshot read() throws IOException, CniException;
  }

  /**
   * Calls CHECK with the current state.
   *
   * @return the message of the error that it reports, if it does
   */
  public Optional<String> check() {
    try {
      plugin.check(request.current());
      return Optional.empty();
    } catch (CniException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  /**
   * Compares, and requires that the comparison changes nothing.
   *
   * @return the findings
   * @throws CniException if the plugin refuses the request
   */
  public List<String> compare() throws CniException, IOException {
    HostSnapshot before = state.read();
    List<String> findings = findings(request);
    state.read().requireEqual(before);
    return findings;
  }

  private List<String> findings(UpdateRequest compared) throws CniException {
    try (var differences = new Differences()) {
      plugin.compare(compared, differences);
      return differences.list().stream().map(Difference::finding).toList();
    }
  }

  /**
   * Makes all changes in their order, then runs the completions of another comparison, as after an
   * update that was interrupted before them. Requires that nothing is left to change, for the same
   * request and for a repair, and that the completions of the first comparison have no effect.
   *
   * @return the desired result
   * @throws AssertionError if a difference has no change, or one remains
   * @throws CniException if the plugin refuses the request or a change fails
   */
  public Result apply() throws CniException, IOException {
    Result result;
    try (var differences = new Differences()) {
      result = plugin.compare(request, differences);
      makeAll(differences);
      try (var again = new Differences()) {
        plugin.compare(request, again);
        complete(again);
      }
      HostSnapshot completed = state.read();
      complete(differences);
      state.read().requireEqual(completed);
    }
    requireNoFindings(request);
    AttachmentRequest desired = request.desired();
    requireNoFindings(
        UpdateRequest.unchanged(
            new AttachmentRequest(
                desired.config(), desired.attachment(), Optional.of(result), desired.context())));
    return result;
  }

  /** Makes all changes, and runs the completions. */
  public Result applyOnly() throws CniException, IOException {
    try (var differences = new Differences()) {
      Result result = plugin.compare(request, differences);
      makeAll(differences);
      complete(differences);
      return result;
    }
  }

  private static void makeAll(Differences differences) throws CniException, IOException {
    for (Difference difference : differences.list()) {
      changeOf(difference).apply().run();
    }
  }

  private static void complete(Differences differences) throws CniException, IOException {
    for (Change completion : differences.completions()) {
      completion.apply().run();
    }
  }

  private static Change changeOf(Difference difference) {
    return difference
        .change()
        .orElseThrow(() -> new AssertionError("no change removes: " + difference.finding()));
  }

  private void requireNoFindings(UpdateRequest compared) throws CniException {
    List<String> findings = findings(compared);
    if (!findings.isEmpty()) {
      throw new AssertionError("found after all changes: " + findings);
    }
  }

  /**
   * Makes the first changes, undoes them in reverse order as after a failure of the next one, and
   * requires the state before.
   *
   * @param count the number of changes
   * @throws AssertionError if the state differs
   * @throws CniException if the plugin refuses the request, or a change or its reversal fails
   */
  public void applyFailingAfter(int count) throws CniException, IOException {
    HostSnapshot before = state.read();
    try (var differences = new Differences()) {
      plugin.compare(request, differences);
      Deque<Change> made = new ArrayDeque<>();
      for (Difference difference : differences.list().subList(0, count)) {
        Change change = changeOf(difference);
        change.apply().run();
        made.push(change);
      }
      for (Change change : made) {
        change.undo().run();
      }
      requireUndone(before, made);
    }
  }

  private void requireUndone(HostSnapshot before, Deque<Change> made)
      throws CniException, IOException {
    HostSnapshot after = state.read();
    if (!after.equals(before)) {
      throw new AssertionError(
          "undoing %s, in this order, left:\n%s"
              .formatted(made.stream().map(Change::description).toList(), before.diff(after)));
    }
  }

  /**
   * Calls {@link #applyFailingAfter} for every number of changes.
   *
   * @throws AssertionError if there are no changes, or one cannot be undone
   * @throws CniException if the plugin refuses the request, or a change or its reversal fails
   */
  public void requireUndo() throws CniException, IOException {
    List<String> findings = compare();
    if (findings.isEmpty()) {
      throw new AssertionError("nothing to undo: no difference was found");
    }
    for (int count = 1; count <= findings.size(); count++) {
      applyFailingAfter(count);
    }
  }
}
