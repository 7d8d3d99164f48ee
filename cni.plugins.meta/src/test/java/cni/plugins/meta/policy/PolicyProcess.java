// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.api.CallContext;
import cni.api.Deadline;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.support.NetNsSession;
import cni.policy.HostPolicies;
import cni.policy.PolicyDirectories;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/** The main class of a process that changes policies and attachments until another one kills it. */
final class PolicyProcess {
  private PolicyProcess() {}

  /**
   * Attaches and detaches a container of the network {@code n}, and changes its labels and the
   * policies.
   *
   * @param args the test's directory, the host's namespace, and the container's
   */
  public static void main(String[] args) throws Exception {
    Path directory = Path.of(args[0]);
    Path host = Path.of(args[1]);
    var directories =
        new PolicyDirectories(directory.resolve("policy.d"), directory.resolve("policy"));
    CallContext context =
        new CallContext(
            Optional.of(host),
            Deadline.none(),
            type -> {
              throw new UnsupportedOperationException(type);
            });
    try (NetNs container = NetNs.open(Path.of(args[2]));
        NetNsSession session = NetNsSession.openHost(context);
        Cni cni =
            Cni.builder()
                .networks(directory.resolve("net.d"))
                .executables(directory.resolve("bin"))
                .cache(directory.resolve("cache"))
                .hostNamespace(host)
                .build()) {
      Network network = cni.network("n");
      var policies = new HostPolicies(directories, session, Deadline.none());
      for (int round = 0; ; round++) {
        network.add(PolicyHost.labelled(container, "app=db"));
        Files.writeString(
            directories.policies().resolve("other.json"),
            """
            { "name": "other", "podSelector": {},
              "ingress": [{ "ports": [{ "port": %d }] }] }
            """
                .formatted(1 + round % 9));
        policies.applyDirectory();
        System.out.println(round); // the one that kills waits for it
        network.update(
            PolicyHost.labelled(container, "app=db").id(),
            AttachmentUpdate.NONE.withCapabilityArg(
                "labels", Json.object().put("app", "db").put("round", "r" + round)));
        network.delete(PolicyHost.labelled(container, "app=db"));
        network.gc(Set.of(PolicyHost.labelled(container, "app=db").id()));
      }
    }
  }
}
