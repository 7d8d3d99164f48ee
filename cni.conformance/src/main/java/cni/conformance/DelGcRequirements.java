// SPDX-License-Identifier: Apache-2.0
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

/** The requirements for DEL and GC: what a plugin removes, and what it keeps. */
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
              "DEL works after the namespace was deleted",
              "2, DEL",
              "clean up its own resources even if the container network namespace and/or container"
                  + " network interface no longer exist.",
              ALL,
              DelGcRequirements::delAfterNamespaceWasDeleted),
          new Requirement(
              "DEL-6",
              "DEL of a container that was never added succeeds",
              "2, DEL",
              BEST_EFFORT_TEXT,
              ALL,
              context -> {
                Container container = context.createContainer();
                ExecRequest delete =
                    context.checkHost().request(Verb.DEL, container, container.prevResult());
                context.requireSuccess(delete, "of a container that was never added");
              }),
          new Requirement(
              "DEL-7",
              "DEL does not affect other containers",
              "2, DEL",
              "delete the interface defined by CNI_IFNAME inside the container at CNI_NETNS",
              ALL,
              DelGcRequirements::delKeepsOtherContainers),
          new Requirement(
              "GC-1",
              "GC keeps valid attachments",
              "2, GC",
              "cni.dev/valid-attachments (array of objects): The list of still valid attachments to"
                  + " this network",
              ALL,
              DelGcRequirements::gcKeepsValid),
          new Requirement(
              "GC-2",
              "GC removes stale attachments",
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
              context -> {
                context.assumeVersion(SpecVersion.V1_1_0);
                context.requireSuccess(gcRequest(context), "with nothing to do");
              }));

  private DelGcRequirements() {}

  private static void delUndoesAdd(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    NetNsSnapshot before = NetNsSnapshot.of(container.netns());
    context.attach(container);
    context.detach(container);
    NetNsSnapshot after = NetNsSnapshot.of(container.netns());
    context.require(
        after.equals(before) || context.subjectConfig().isLoopback(),
        "in the container, left over: ["
            + after.minus(before)
            + "]; missing: ["
            + before.minus(after)
            + "]");
    context.requireBaseline("after DEL");
  }

  private static void delIsRepeatable(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    context.attach(container);
    ExecRequest delete = context.deleteRequest(container);
    context.requireSuccess(delete, "of a container");
    context.requireSuccess(delete, "for the second time");
    context.requireSuccess(delete, "for the third time");
  }

  private static void delWithoutPrevResult(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    context.attach(container);
    context.requireSuccess(
        context.deleteRequest(container).withoutKey("prevResult"), "without prevResult");
    if (context.subjectConfig().role() != SubjectConfig.Role.CHAINED) { // may depend on prevResult
      context.requireBaseline("after DEL without prevResult");
    }
  }

  private static void delWithoutNetns(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    context.attach(container);
    context.requireSuccess(
        context.deleteRequest(container).withoutVariable("CNI_NETNS"), "without CNI_NETNS");
    NetNsSnapshot left = reservationsAndRules(context);
    context.require(left.isEmpty(), "after DEL without CNI_NETNS, left over: " + left);
  }

  /** Returns the new files and chains, which are not deleted together with a namespace. */
  private static NetNsSnapshot reservationsAndRules(CheckContext context) throws IOException {
    NetNsSnapshot more = context.checkHost().hostState().minus(context.baseline());
    more.lines().removeIf(line -> !line.startsWith("file ") && !line.startsWith("chain "));
    return more;
  }

  private static void delAfterNamespaceWasDeleted(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    context.attach(container);
    ExecRequest delete = context.deleteRequest(container);
    context.checkHost().deleteContainer(container);
    context.requireSuccess(delete, "of a container whose namespace was deleted");
    if (context.subjectConfig().devices().isEmpty()) { // a device may be deleted with the namespace
      context.requireBaseline("after DEL without the namespace");
    }
  }

  private static void delKeepsOtherContainers(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    context.assume(
        context.subjectConfig().containers() > 1, "only one container can be attached at a time");
    Container other = context.createContainer();
    context.attach(other);
    NetNsSnapshot inside = NetNsSnapshot.of(other.netns());
    NetNsSnapshot outside = context.checkHost().hostState();
    Container container = context.createContainer();
    context.attach(container);
    context.detach(container);
    NetNsSnapshot lost = inside.minus(NetNsSnapshot.of(other.netns()));
    context.require(lost.isEmpty(), "DEL changed another container; removed: " + lost);
    lost = outside.minus(context.checkHost().hostState());
    context.require(
        lost.isEmpty(), "DEL removed from the host what another container needs: " + lost);
    requireCheckSucceeds(context, other, "of another container after DEL of one");
  }

  private static void requireCheckSucceeds(CheckContext context, Container container, String when)
      throws CheckFailure, CniException {
    if (Verb.CHECK.isDefinedIn(context.checkHost().version())) {
      context.requireSuccess(context.checkRequest(container), when);
    }
  }

  private static ExecRequest gcRequest(CheckContext context, Container... valid) {
    ArrayNode list = Json.object().arrayNode();
    for (Container it : valid) {
      list.addObject().put("containerID", it.id()).put("ifname", it.interfaceName());
    }
    return context.checkHost().request(Verb.GC).withKey("cni.dev/valid-attachments", list);
  }

  private static void gcKeepsValid(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    context.assumeVersion(SpecVersion.V1_1_0);
    Container container = context.createContainer();
    context.attach(container);
    NetNsSnapshot inside = NetNsSnapshot.of(container.netns());
    NetNsSnapshot outside = context.checkHost().hostState();
    context.requireSuccess(gcRequest(context, container), "with a valid attachment");
    NetNsSnapshot lost =
        inside
            .minus(NetNsSnapshot.of(container.netns()))
            .plus(outside.minus(context.checkHost().hostState()));
    context.require(lost.isEmpty(), "GC changed a valid attachment; removed: " + lost);
    requireCheckSucceeds(context, container, "of a valid attachment after GC");
  }

  private static void gcRemovesStale(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    context.assumeVersion(SpecVersion.V1_1_0);
    Container container = context.createContainer();
    context.attach(container);
    NetNsSnapshot created = reservationsAndRules(context);
    context.assume(!created.isEmpty(), "an attachment has no state outside its namespace");
    context.checkHost().deleteContainer(container);
    context.requireSuccess(gcRequest(context), "with a stale attachment");
    NetNsSnapshot left = reservationsAndRules(context);
    context.require(left.isEmpty(), "after GC, left over: " + left);
  }
}
