// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.api.Attachment;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.support.NetNsSession;
import cni.policy.Endpoint;
import cni.policy.HostPolicies;
import cni.policy.PolicyDirectories;
import cni.policy.file.Problem;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/** A host of its own with a dual-stack bridge network, with or without the plugin policy. */
final class PolicyFixture implements AutoCloseable {
  /** The network with the plugin. */
  static final String RESTRICTED = "restricted";

  /** The same network without the plugin. */
  static final String FREE = "free";

  private final TestHost host = new TestHost();
  private final PolicyDirectories directories =
      new PolicyDirectories(
          host.directory().resolve("policy.d"), host.directory().resolve("policy"));
  private final Cni cni;
  private final NetNsSession session;
  private final HostPolicies policies;

  PolicyFixture() throws IOException, CniException {
    Files.createDirectories(directories.policies());
    String bridge =
        """
        { "type": "bridge", "bridge": "%s", "isDefaultGateway": true,
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "ranges": [[{ "subnet": "10.%d.0.0/16" }], [{ "subnet": "fd%d::/64" }]] } }
        """;
    host.network(FREE, "1.1.0", bridge.formatted(FREE, 60, 60));
    host.network(
        RESTRICTED,
        "1.1.0",
        bridge.formatted(RESTRICTED, 50, 50),
        """
        { "type": "policy", "policyDir": "%s", "dataDir": "%s",
          "capabilities": { "labels": true } }
        """
            .formatted(directories.policies(), directories.data()));
    cni = host.openCni();
    session = HostPolicies.openHost(Optional.of(host.netns().path()), Deadline.none());
    policies = new HostPolicies(directories, session, Deadline.none());
  }

  TestHost host() {
    return host;
  }

  HostPolicies policies() {
    return policies;
  }

  Network network(String name) throws CniException {
    return cni.network(name);
  }

  /** Returns the attachment of a container with labels. */
  static Attachment attachment(NetNs container, Map<String, String> labels) {
    ObjectNode json = Json.object();
    labels.forEach(json::put);
    return TestHost.attachment(container).withCapabilityArgs(Map.of("labels", json));
  }

  /** Returns an attachment whose container need not exist; its addresses follow from a number. */
  static Endpoint endpoint(int number, Map<String, String> labels) {
    int low = 1_024 + number;
    return new Endpoint(
        new Endpoint.Id(RESTRICTED, "container-" + number, "eth0"),
        labels,
        Map.of(),
        List.of(
            Cidr.parse("10.50.%d.%d/16".formatted(low >> 8, low & 0xff)),
            Cidr.parse("fd50::1:%x/64".formatted(number))),
        "veth" + number,
        Optional.of(RESTRICTED));
  }

  /** Writes files of policies, and puts them in force. */
  void apply(Map<String, String> files) throws IOException, CniException {
    for (Map.Entry<String, String> file : files.entrySet()) {
      write(file.getKey(), file.getValue());
    }
    List<Problem> problems = policies.applyDirectory().files().problems();
    if (!problems.isEmpty()) {
      throw new IllegalStateException(Problem.join(problems));
    }
  }

  /** Writes a file of policies, without putting it in force. */
  void write(String name, String content) throws IOException {
    Files.writeString(directories.policies().resolve(name + ".json"), content);
  }

  /** Lists the rules in the kernel. */
  String ruleset() throws IOException {
    return TestBed.run(host.netns(), "nft", "list", "ruleset");
  }

  @Override
  public void close() throws IOException {
    session.close();
    cni.close();
    host.close();
  }
}
