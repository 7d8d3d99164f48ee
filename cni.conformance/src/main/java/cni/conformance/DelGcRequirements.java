package cni.conformance;

import static cni.conformance.Requirement.ALL;

import cni.api.CniException;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.conformance.CheckHost.Container;
import cni.testing.NetNsSnapshot;
import java.io.IOException;
import java.util.List;
import tools.jackson.databind.node.ArrayNode;

/** DEL and GC: what is removed, and what is not. */
final class DelGcRequirements {
  private static final String BEST_EFFORT_TEXT =
      "DEL command invocations are always considered best-effort - plugins should always complete a"
          + " DEL action without error to the fullest extent possible, even if some resources or"
          + " state are missing.";
  private static final String STALE_TEXT =
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
              DelGcRequirements::delUndoesAdd),
          new Requirement(
              "DEL-2",
              "DEL can be repeated",
              "2, DEL",
              "Plugins MUST accept multiple DEL calls for the same (CNI_CONTAINERID, CNI_IFNAME)"
                  + " pair, and return success if the interface in question, or any modifications"
                  + " added, are missing.",
              ALL,
              DelGcRequirements::delIsRepeatable),
          new Requirement(
              "DEL-3",
              "DEL works without prevResult",
              "2, DEL",
              "Plugins should still return without error if prevResult is empty for a DEL command,"
                  + " however.",
              ALL,
              DelGcRequirements::delWithoutPrevResult),
          new Requirement(
              "DEL-4",
              "DEL works without CNI_NETNS",
              "2, DEL",
              "Optional environment parameters: CNI_NETNS, CNI_ARGS, CNI_PATH. " + BEST_EFFORT_TEXT,
              ALL,
              DelGcRequirements::delWithoutNetns),
          new Requirement(
              "DEL-5",
              "DEL works when the namespace is gone",
              "2, DEL",
              "clean up its own resources even if the container network namespace and/or container"
                  + " network interface no longer exist.",
              ALL,
              DelGcRequirements::delAfterNamespaceIsGone),
          new Requirement(
              "DEL-6",
              "DEL of what was never added succeeds",
              "2, DEL",
              BEST_EFFORT_TEXT,
              ALL,
              trial -> {
                Container container = trial.createContainer();
                ExecRequest delete =
                    trial.testBed().request(Verb.DEL, container, container.prevResult());
                trial.requireSuccess(delete, "of a container that was never added");
              }),
          new Requirement(
              "DEL-7",
              "DEL leaves other containers alone",
              "2, DEL",
              "delete the interface defined by CNI_IFNAME inside the container at CNI_NETNS",
              ALL,
              DelGcRequirements::delKeepsOtherContainers),
          new Requirement(
              "GC-1",
              "GC keeps what is valid",
              "2, GC",
              "cni.dev/valid-attachments (array of objects): The list of still valid attachments to"
                  + " this network",
              ALL,
              DelGcRequirements::gcKeepsValid),
          new Requirement(
              "GC-2",
              "GC removes what is stale",
              "2, GC",
              STALE_TEXT,
              ALL,
              DelGcRequirements::gcRemovesStale),
          new Requirement(
              "GC-3",
              "GC with nothing to do succeeds",
              "2, GC",
              "Plugins should generally complete a GC action without error.",
              ALL,
              trial -> {
                trial.assumeVersion(SpecVersion.V1_1_0);
                trial.requireSuccess(gcRequest(trial), "with nothing to do");
              }));

  private DelGcRequirements() {}

  private static void delUndoesAdd(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    NetNsSnapshot before = NetNsSnapshot.of(container.netns());
    trial.attach(container);
    trial.detach(container);
    NetNsSnapshot after = NetNsSnapshot.of(container.netns());
    trial.require(
        after.equals(before) || trial.subjectConfig().isLoopback(),
        "in the container, left over: ["
            + after.minus(before)
            + "]; missing: ["
            + before.minus(after)
            + "]");
    trial.requireBaseline("after DEL");
  }

  private static void delIsRepeatable(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    trial.attach(container);
    ExecRequest delete = trial.deleteRequest(container);
    trial.requireSuccess(delete, "of a container");
    trial.requireSuccess(delete, "for the second time");
    trial.requireSuccess(delete, "for the third time");
  }

  private static void delWithoutPrevResult(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    trial.attach(container);
    trial.requireSuccess(
        trial.deleteRequest(container).withoutKey("prevResult"), "without prevResult");
    if (trial.subjectConfig().role()
        != SubjectConfig.Role.CHAINED) { // which may know nothing without it
      trial.requireBaseline("after DEL without prevResult");
    }
  }

  private static void delWithoutNetns(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    trial.attach(container);
    trial.requireSuccess(
        trial.deleteRequest(container).withoutVariable("CNI_NETNS"), "without CNI_NETNS");
    NetNsSnapshot left = reservationsAndRules(trial);
    trial.require(left.isEmpty(), "after DEL without CNI_NETNS, left over: " + left);
  }

  /** What does not go with the namespace. */
  private static NetNsSnapshot reservationsAndRules(CheckContext trial) throws IOException {
    NetNsSnapshot more = trial.testBed().hostState().minus(trial.baseline());
    more.lines().removeIf(line -> !line.startsWith("file ") && !line.startsWith("chain "));
    return more;
  }

  private static void delAfterNamespaceIsGone(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    trial.attach(container);
    ExecRequest delete = trial.deleteRequest(container);
    trial.testBed().deleteContainer(container);
    trial.requireSuccess(delete, "of a container whose namespace is gone");
    if (trial.subjectConfig().devices().isEmpty()) { // a device may have gone with the namespace
      trial.requireBaseline("after DEL without the namespace");
    }
  }

  private static void delKeepsOtherContainers(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.assume(trial.subjectConfig().containers() > 1, "one can be attached at a time");
    Container other = trial.createContainer();
    trial.attach(other);
    NetNsSnapshot inside = NetNsSnapshot.of(other.netns());
    NetNsSnapshot outside = trial.testBed().hostState();
    Container container = trial.createContainer();
    trial.attach(container);
    trial.detach(container);
    NetNsSnapshot lost = inside.minus(NetNsSnapshot.of(other.netns()));
    trial.require(lost.isEmpty(), "DEL took from another container: " + lost);
    lost = outside.minus(trial.testBed().hostState());
    trial.require(lost.isEmpty(), "DEL took from the host what another container needs: " + lost);
    requireCheckSucceeds(trial, other, "of another container after DEL of one");
  }

  private static void requireCheckSucceeds(CheckContext trial, Container container, String when)
      throws CheckFailure, CniException {
    if (Verb.CHECK.isDefinedIn(trial.testBed().version())) {
      trial.requireSuccess(trial.checkRequest(container), when);
    }
  }

  private static ExecRequest gcRequest(CheckContext trial, Container... valid) {
    ArrayNode list = Json.object().arrayNode();
    for (Container it : valid) {
      list.addObject().put("containerID", it.id()).put("ifname", it.interfaceName());
    }
    return trial.testBed().request(Verb.GC).withKey("cni.dev/valid-attachments", list);
  }

  private static void gcKeepsValid(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.assumeVersion(SpecVersion.V1_1_0);
    Container container = trial.createContainer();
    trial.attach(container);
    NetNsSnapshot inside = NetNsSnapshot.of(container.netns());
    NetNsSnapshot outside = trial.testBed().hostState();
    trial.requireSuccess(gcRequest(trial, container), "with a valid attachment");
    NetNsSnapshot lost =
        inside
            .minus(NetNsSnapshot.of(container.netns()))
            .plus(outside.minus(trial.testBed().hostState()));
    trial.require(lost.isEmpty(), "GC took from a valid attachment: " + lost);
    requireCheckSucceeds(trial, container, "of a valid attachment after GC");
  }

  private static void gcRemovesStale(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.assumeVersion(SpecVersion.V1_1_0);
    Container container = trial.createContainer();
    trial.attach(container);
    NetNsSnapshot made = reservationsAndRules(trial);
    trial.assume(!made.isEmpty(), "an attachment has nothing that outlives its namespace");
    trial.testBed().deleteContainer(container);
    trial.requireSuccess(gcRequest(trial), "with a stale attachment");
    NetNsSnapshot left = reservationsAndRules(trial);
    trial.require(left.isEmpty(), "after GC, left over: " + left);
  }
}
