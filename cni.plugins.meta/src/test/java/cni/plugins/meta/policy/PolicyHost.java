// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.api.Attachment;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.support.NetNsSession;
import cni.policy.HostPolicies;
import cni.policy.PolicyDirectories;
import cni.runtime.Cni;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/** A host with policies and containers that have labels. */
final class PolicyHost implements AutoCloseable {
  private final TestHost host;
  private final Cni cni;

  PolicyHost(TestHost host) throws IOException {
    this.host = host;
    Files.createDirectories(directories().policies());
    cni = host.openCni();
  }

  TestHost host() {
    return host;
  }

  Cni cni() {
    return cni;
  }

  PolicyDirectories directories() {
    Path directory = host.directory();
    return new PolicyDirectories(directory.resolve("policy.d"), directory.resolve("policy"));
  }

  /** Defines a network of a main plugin and the policy plugin. */
  void network(String name, String main, String... others) throws IOException {
    String[] plugins = new String[others.length + 2];
    plugins[0] = main;
    System.arraycopy(others, 0, plugins, 1, others.length);
    plugins[plugins.length - 1] = policyPlugin();
    host.network(name, "1.1.0", plugins);
  }

  String policyPlugin() {
    return """
        { "type": "policy", "policyDir": "%s", "dataDir": "%s",
          "capabilities": { "labels": true, "namedPorts": true } }
        """
        .formatted(directories().policies(), directories().data());
  }

  /** Writes a file of policies, and puts those of the directory in force. */
  void apply(String file, String content) throws CniException, IOException {
    Files.writeString(directories().policies().resolve(file), content);
    apply();
  }

  /** Deletes a file of policies, and puts those of the directory in force. */
  void delete(String file) throws CniException, IOException {
    Files.delete(directories().policies().resolve(file));
    apply();
  }

  private void apply() throws CniException {
    try (NetNsSession session = session()) {
      var policies = new HostPolicies(directories(), session, Deadline.none());
      var files = policies.readDirectory();
      if (!files.problems().isEmpty()) {
        throw new AssertionError(files.problems());
      }
      policies.apply(files.policies());
    }
  }

  NetNsSession session() throws CniException {
    return NetNsSession.openHost(
        new CallContext(
            Optional.of(host.netns().path()),
            Deadline.none(),
            type -> {
              throw new UnsupportedOperationException(type);
            }));
  }

  /** Returns a container's attachment with labels such as {@code app=web,tier=front}. */
  static Attachment labelled(NetNs container, String labels) {
    Attachment attachment = TestHost.attachment(container);
    ObjectNode json = Json.object();
    for (String label : labels.split(",", -1)) {
      String[] parts = label.split("=", 2);
      json.put(parts[0], parts[1]);
    }
    return new Attachment(
        attachment.id(), attachment.namespace(), attachment.args(), Map.of("labels", json));
  }

  @Override
  public void close() {
    cni.close();
  }
}
