// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.doctor.path.PathStep.Stage;
import cni.doctor.path.PathStep.State;
import cni.netlink.ffm.nftables.Hook;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** The steps of a path with what the rules decided at each of them. */
final class StepRules {
  private final List<PathStep> walked;
  private final Flight flight;

  StepRules(List<PathStep> walked, Flight flight) {
    this.walked = walked;
    this.flight = flight;
  }

  /**
   * Returns the steps.
   *
   * @param fate what became of the packet, to which the states of the steps are adapted
   * @param finding what stops it or the answer
   */
  List<PathStep> steps(Fate fate, Optional<PathFinding> finding) {
    List<PathStep> steps = new ArrayList<>();
    for (int i = 0; i < walked.size(); i++) {
      PathStep step = walked.get(i).withRules(rules(i));
      steps.add(fate == Fate.LOST ? step : step.with(State.PASSED));
    }
    if (fate == Fate.LOST) {
      dropStep().ifPresent(it -> steps.set(it, steps.get(it).with(State.FAILED)));
    }
    if (fate == Fate.UNANSWERED && finding.isPresent()) {
      String place = walked.isEmpty() ? "" : walked.getLast().place();
      String text = "no answer comes back";
      steps.add(new PathStep(place, Stage.ANSWER, State.FAILED, text, List.of()));
    }
    return Judgement.cut(steps);
  }

  private List<String> rules(int index) {
    Set<String> rules = new LinkedHashSet<>();
    for (Sighting it : flight.sightings()) {
      if (it.isForward() && step(it).filter(found -> found == index).isPresent()) {
        flight.rules().decision(it).ifPresent(rules::add);
      }
    }
    return List.copyOf(rules);
  }

  private Optional<Integer> dropStep() {
    return flight.sightings().stream()
        .filter(it -> it.isForward() && it.isDrop())
        .reduce((_, next) -> next)
        .flatMap(this::step);
  }

  /** Returns the index of the step that a hook belongs to; empty if there is no step for it. */
  private Optional<Integer> step(Sighting sighting) {
    for (Stage stage : stages(sighting)) {
      for (int i = 0; i < walked.size(); i++) {
        boolean isThere = walked.get(i).place().equals(sighting.view().name());
        if (isThere && walked.get(i).stage() == stage) {
          return Optional.of(i);
        }
      }
    }
    return Optional.empty();
  }

  private static List<Stage> stages(Sighting sighting) {
    if (sighting.hook().bridge()) {
      return List.of(Stage.BRIDGE, Stage.FORWARD, Stage.RECEIVE, Stage.SEND);
    }
    return switch (sighting.hook().number()) {
      case Hook.OUTPUT -> List.of(Stage.SEND, Stage.TRANSLATE, Stage.RECEIVE);
      case Hook.PREROUTING -> List.of(Stage.TRANSLATE, Stage.FORWARD, Stage.RECEIVE, Stage.BRIDGE);
      case Hook.INPUT -> List.of(Stage.RECEIVE, Stage.BRIDGE);
      case Hook.FORWARD -> List.of(Stage.FORWARD, Stage.BRIDGE);
      default -> List.of(Stage.FORWARD, Stage.SEND, Stage.BRIDGE, Stage.RECEIVE);
    };
  }
}
