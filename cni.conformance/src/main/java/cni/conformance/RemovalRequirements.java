package cni.conformance;

import static cni.conformance.Requirement.ALL;

import cni.api.CniException;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.conformance.Stage.Container;
import java.io.IOException;
import java.util.List;
import tools.jackson.databind.node.ArrayNode;

/** DEL and GC: what is removed, and what is not. */
final class RemovalRequirements {
  private static final String BEST_EFFORT =
      "DEL command invocations are always considered best-effort - plugins should always complete a"
          + " DEL action without error to the fullest extent possible, even if some resources or"
          + " state are missing.";
  private static final String STALE =
      "A plugin SHOULD remove as many stale resources as possible. For example, a plugin should"
          + " remove any IPAM reservations associated with attachments not in the provided list.";

  static final List<Requirement> LIST =
      List.of(
          new Requirement(
              "DEL-1",
              "DEL undoes ADD",
              "2, DEL",
              "delete the interface defined by CNI_IFNAME inside the container at CNI_NETNS, or undo"
                  + " any modifications applied in the plugin's ADD functionality",
              ALL,
              RemovalRequirements::undone),
          new Requirement(
              "DEL-2",
              "DEL can be repeated",
              "2, DEL",
              "Plugins MUST accept multiple DEL calls for the same (CNI_CONTAINERID, CNI_IFNAME)"
                  + " pair, and return success if the interface in question, or any modifications"
                  + " added, are missing.",
              ALL,
              RemovalRequirements::twice),
          new Requirement(
              "DEL-3",
              "DEL works without prevResult",
              "2, DEL",
              "Plugins should still return without error if prevResult is empty for a DEL command,"
                  + " however.",
              ALL,
              RemovalRequirements::withoutResult),
          new Requirement(
              "DEL-4",
              "DEL works without CNI_NETNS",
              "2, DEL",
              "Optional environment parameters: CNI_NETNS, CNI_ARGS, CNI_PATH. " + BEST_EFFORT,
              ALL,
              RemovalRequirements::withoutNamespace),
          new Requirement(
              "DEL-5",
              "DEL works when the namespace is gone",
              "2, DEL",
              "clean up its own resources even if the container network namespace and/or container"
                  + " network interface no longer exist.",
              ALL,
              RemovalRequirements::namespaceGone),
          new Requirement(
              "DEL-6",
              "DEL of what was never added succeeds",
              "2, DEL",
              BEST_EFFORT,
              ALL,
              trial -> {
                Container container = trial.container();
                Request delete = trial.stage().request(Verb.DEL, container, container.previous());
                trial.succeed(delete, "of a container that was never added");
              }),
          new Requirement(
              "DEL-7",
              "DEL leaves other containers alone",
              "2, DEL",
              "delete the interface defined by CNI_IFNAME inside the container at CNI_NETNS",
              ALL,
              RemovalRequirements::others),
          new Requirement(
              "GC-1",
              "GC keeps what is valid",
              "2, GC",
              "cni.dev/valid-attachments (array of objects): The list of still valid attachments to"
                  + " this network",
              ALL,
              RemovalRequirements::valid),
          new Requirement(
              "GC-2", "GC removes what is stale", "2, GC", STALE, ALL, RemovalRequirements::stale),
          new Requirement(
              "GC-3",
              "GC with nothing to do succeeds",
              "2, GC",
              "Plugins should generally complete a GC action without error.",
              ALL,
              trial -> {
                trial.onlySince(SpecVersion.V1_1_0);
                trial.succeed(collect(trial), "with nothing to do");
              }));

  private RemovalRequirements() {}

  private static void undone(Trial trial) throws CheckFailure, CniException, IOException {
    Container container = trial.container();
    State before = State.of(container.netns());
    trial.attach(container);
    trial.detach(container);
    State after = State.of(container.netns());
    trial.require(
        after.equals(before) || trial.setting().isLoopback(),
        "in the container, left over: ["
            + after.minus(before)
            + "]; missing: ["
            + before.minus(after)
            + "]");
    trial.requireBaseline("after DEL");
  }

  private static void twice(Trial trial) throws CheckFailure, CniException, IOException {
    Container container = trial.container();
    trial.attach(container);
    Request delete = trial.delete(container);
    trial.succeed(delete, "of a container");
    trial.succeed(delete, "for the second time");
    trial.succeed(delete, "for the third time");
  }

  private static void withoutResult(Trial trial) throws CheckFailure, CniException, IOException {
    Container container = trial.container();
    trial.attach(container);
    trial.succeed(trial.delete(container).withoutKey("prevResult"), "without prevResult");
    if (trial.setting().role() != Setting.Role.CHAINED) { // which may know nothing without it
      trial.requireBaseline("after DEL without prevResult");
    }
  }

  private static void withoutNamespace(Trial trial) throws CheckFailure, CniException, IOException {
    Container container = trial.container();
    trial.attach(container);
    trial.succeed(trial.delete(container).without("CNI_NETNS"), "without CNI_NETNS");
    State left = reservationsAndRules(trial);
    trial.require(left.isEmpty(), "after DEL without CNI_NETNS, left over: " + left);
  }

  /** What does not go with the namespace. */
  private static State reservationsAndRules(Trial trial) throws IOException {
    State more = trial.stage().hostState().minus(trial.baseline());
    more.lines().removeIf(line -> !line.startsWith("file ") && !line.startsWith("chain "));
    return more;
  }

  private static void namespaceGone(Trial trial) throws CheckFailure, CniException, IOException {
    Container container = trial.container();
    trial.attach(container);
    Request delete = trial.delete(container);
    trial.stage().end(container);
    trial.succeed(delete, "of a container whose namespace is gone");
    if (trial.setting().devices().isEmpty()) { // a device may have gone with the namespace
      trial.requireBaseline("after DEL without the namespace");
    }
  }

  private static void others(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.onlyIf(trial.setting().containers() > 1, "one can be attached at a time");
    Container other = trial.container();
    trial.attach(other);
    State inside = State.of(other.netns());
    State outside = trial.stage().hostState();
    Container container = trial.container();
    trial.attach(container);
    trial.detach(container);
    State lost = inside.minus(State.of(other.netns()));
    trial.require(lost.isEmpty(), "DEL took from another container: " + lost);
    lost = outside.minus(trial.stage().hostState());
    trial.require(lost.isEmpty(), "DEL took from the host what another container needs: " + lost);
    checkOf(trial, other, "of another container after DEL of one");
  }

  private static void checkOf(Trial trial, Container container, String when)
      throws CheckFailure, CniException {
    if (Verb.CHECK.isIn(trial.stage().version())) {
      trial.succeed(trial.check(container), when);
    }
  }

  private static Request collect(Trial trial, Container... valid) {
    ArrayNode list = Json.object().arrayNode();
    for (Container it : valid) {
      list.addObject().put("containerID", it.id()).put("ifname", it.ifName());
    }
    return trial.stage().request(Verb.GC).key("cni.dev/valid-attachments", list);
  }

  private static void valid(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.onlySince(SpecVersion.V1_1_0);
    Container container = trial.container();
    trial.attach(container);
    State inside = State.of(container.netns());
    State outside = trial.stage().hostState();
    trial.succeed(collect(trial, container), "with a valid attachment");
    State lost =
        inside.minus(State.of(container.netns())).plus(outside.minus(trial.stage().hostState()));
    trial.require(lost.isEmpty(), "GC took from a valid attachment: " + lost);
    checkOf(trial, container, "of a valid attachment after GC");
  }

  private static void stale(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.onlySince(SpecVersion.V1_1_0);
    Container container = trial.container();
    trial.attach(container);
    State made = reservationsAndRules(trial);
    trial.onlyIf(!made.isEmpty(), "an attachment has nothing that outlives its namespace");
    trial.stage().end(container);
    trial.succeed(collect(trial), "with a stale attachment");
    State left = reservationsAndRules(trial);
    trial.require(left.isEmpty(), "after GC, left over: " + left);
  }
}
