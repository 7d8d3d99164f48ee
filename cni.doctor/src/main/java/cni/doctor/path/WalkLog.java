// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.doctor.path.PathStep.Stage;
import cni.doctor.path.PathStep.State;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The steps of a walk so far, and the obstacle at which it ended. */
final class WalkLog {
  private final List<PathStep> steps = new ArrayList<>();
  private final List<String> notes = new ArrayList<>();
  private Optional<PathFinding> finding = Optional.empty();
  private Optional<Suspicion> suspicion = Optional.empty();

  private record Suspicion(int step, PathFinding problem) {}

  List<PathStep> steps() {
    return steps;
  }

  /** Returns the remarks, to which more can be added. */
  List<String> notes() {
    return notes;
  }

  Optional<PathFinding> finding() {
    return finding;
  }

  /** Adds a step that the packet passes. */
  void step(NamespaceView view, Stage stage, String text) {
    steps.add(new PathStep(view.name(), stage, State.PASSED, text, List.of()));
  }

  /** Adds the step at which the packet is stopped. */
  void fail(NamespaceView view, Stage stage, String text, PathFinding problem) {
    steps.add(new PathStep(view.name(), stage, State.FAILED, text, List.of()));
    finding = Optional.of(problem);
  }

  /**
   * Adds an obstacle that may be the consequence of one further on. The first of them counts if the
   * walk meets no other.
   *
   * @param step the index of the step at which it stops the packet
   */
  void suspect(int step, PathFinding problem) {
    if (suspicion.isEmpty()) {
      suspicion = Optional.of(new Suspicion(step, problem));
    }
  }

  /** Ends the walk: the packet is stopped by what was suspected, if by nothing else. */
  void conclude() {
    if (finding.isEmpty() && suspicion.isPresent()) {
      int step = suspicion.get().step();
      steps.set(step, steps.get(step).with(State.FAILED));
      finding = suspicion.map(Suspicion::problem);
    }
  }
}
