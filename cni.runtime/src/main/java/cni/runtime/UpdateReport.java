// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.AttachmentId;
import cni.api.internal.NullChecks;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What an update or a repair of an attachment did, or would do.
 *
 * @param network the network's name
 * @param attachment the attachment
 * @param steps the differences from the desired state, in the order in which they were removed;
 *     empty if there were none
 * @param isRecreated whether the attachment was deleted and added again
 * @param warnings what could not be cleaned up after the update, which has succeeded nevertheless
 */
public record UpdateReport(
    String network,
    AttachmentId attachment,
    List<Step> steps,
    boolean isRecreated,
    List<String> warnings) {
  /** Copies the lists. */
  public UpdateReport {
    requireNonNull(network, "network");
    requireNonNull(attachment, "attachment");
    steps = NullChecks.copyOf(steps, "steps");
    warnings = NullChecks.copyOf(warnings, "warnings");
  }

  /**
   * One difference from the desired state.
   *
   * @param plugin the type of the plugin that found it
   * @param finding what differed
   * @param change what was done, in the imperative; absent if nothing can be done without deleting
   *     the attachment and adding it again
   */
  public record Step(String plugin, String finding, Optional<String> change) {
    /** Checks that no argument is null. */
    public Step {
      requireNonNull(plugin, "plugin");
      requireNonNull(finding, "finding");
      requireNonNull(change, "change");
    }
  }

  /** Returns the report of this update or repair and of a repair that followed it. */
  UpdateReport followedBy(UpdateReport next) {
    List<Step> all = new ArrayList<>(steps);
    next.steps().stream().filter(it -> !steps.contains(it)).forEach(all::add);
    List<String> allWarnings = new ArrayList<>(warnings);
    allWarnings.addAll(next.warnings());
    return new UpdateReport(network, attachment, all, false, allWarnings);
  }

  /** Returns the report with a further warning. */
  UpdateReport withWarning(String warning) {
    List<String> more = new ArrayList<>(warnings);
    more.add(warning);
    return new UpdateReport(network, attachment, steps, isRecreated, more);
  }

  /** Returns the steps that no change removes. */
  public List<Step> unrepaired() {
    return steps.stream().filter(step -> step.change().isEmpty()).toList();
  }
}
