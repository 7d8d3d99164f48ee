// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.Differences.Action;
import cni.api.Differences.Change;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A third-party plugin that updates attachments: its comparisons and changes are isolated as the
 * calls of {@link IsolatedPlugin} are.
 *
 * @param isolated the plugin
 * @param plugin what it is called by
 */
record IsolatedUpdatablePlugin(IsolatedPlugin isolated, UpdatablePlugin plugin)
    implements UpdatablePlugin {
  @Override
  public String type() {
    return isolated.type();
  }

  @Override
  public Set<SpecVersion> versions() {
    return isolated.versions();
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    return isolated.add(request);
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    isolated.check(request);
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    isolated.delete(request);
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.copyOf(plugin.changeableKeys());
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    Deadline deadline = request.desired().context().deadline();
    var found = new Differences();
    differences.keep(found::close);
    var result = new AtomicReference<Result>();
    isolated.runUpdate("comparison", deadline, () -> result.set(plugin.compare(request, found)));
    for (Differences.Difference difference : found.list()) {
      differences.add(
          new Differences.Difference(
              difference.kind(),
              difference.finding(),
              difference.cause(),
              difference.change().map(it -> isolate(it, request.desired()))));
    }
    for (Change completion : found.completions()) {
      differences.addCompletion(
          completion.description(), isolate(completion, completion.apply(), request.desired()));
    }
    return isolated.requireValid(result.get(), request.desired().config().version());
  }

  private Change isolate(Change change, AttachmentRequest request) {
    return new Change(
        change.description(),
        isolate(change, change.apply(), request),
        isolate(change, change.undo(), request.forCleanup()));
  }

  private Action isolate(Change change, Action action, AttachmentRequest request) {
    return () ->
        isolated.runUpdate("update", request.context().deadline(), () -> run(change, action));
  }

  private static void run(Change change, Action action) throws CniException {
    try {
      action.run();
    } catch (IOException e) {
      throw IoErrors.failure(change.description(), e);
    }
  }
}
