// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.policy.Direction;
import cni.policy.Labels;
import cni.policy.Peer;
import cni.policy.Policy;
import cni.policy.PortMatch;
import cni.policy.Protocol;
import cni.policy.Selector;
import cni.policy.Selector.Operator;
import cni.policy.Selector.Requirement;
import cni.policy.TrafficRule;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Manifests of the kinds that Kubernetes' documentation of network policies describes. */
class KubernetesManifestTest {
  private static PolicyFiles read(String text) {
    return PolicyReader.read(text.getBytes(StandardCharsets.UTF_8), Path.of("p.json"));
  }

  /** Returns the policy of a manifest in a namespace, or in none if that is empty. */
  private static Policy manifest(String namespace, String spec) {
    String metadata = namespace.isEmpty() ? "" : ", \"namespace\": \"" + namespace + "\"";
    PolicyFiles files =
        read(
            """
            {
              "apiVersion": "networking.k8s.io/v1",
              "kind": "NetworkPolicy",
              "metadata": {"name": "test", "creationTimestamp": null, "labels": {"a": "b"}%s},
              "spec": %s
            }
            """
                .formatted(metadata, spec));
    assertEquals(List.of(), files.problems());
    Policy policy = files.policies().getFirst();
    assertEquals(List.of(policy), read(PolicyJson.of(policy).toString()).policies());
    return policy;
  }

  private static Selector inNamespace(Map<String, String> labels, String... names) {
    return new Selector(
        labels, List.of(new Requirement(Labels.NAMESPACE, Operator.IN, Set.of(names))));
  }

  @Test
  void theWholeExample() {
    Policy policy =
        manifest(
            "shop",
            """
            {
              "podSelector": {"matchLabels": {"role": "db"}},
              "policyTypes": ["Ingress", "Egress"],
              "ingress": [
                {
                  "from": [
                    {"ipBlock": {"cidr": "172.17.0.0/16", "except": ["172.17.1.0/24"]}},
                    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tools"}}},
                    {"podSelector": {"matchLabels": {"role": "frontend"}}}
                  ],
                  "ports": [{"protocol": "TCP", "port": 6379}]
                }
              ],
              "egress": [
                {
                  "to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
                  "ports": [{"protocol": "TCP", "port": 32000, "endPort": 32768}]
                }
              ]
            }
            """);
    var block = new Peer.Block(Cidr.parse("172.17.0.0/16"), List.of(Cidr.parse("172.17.1.0/24")));
    var ingress =
        new TrafficRule(
            List.of(
                block,
                new Peer.Group(inNamespace(Map.of(), "tools"), Set.of()),
                new Peer.Group(inNamespace(Map.of("role", "frontend"), "shop"), Set.of())),
            List.of(new PortMatch.Range(Protocol.TCP, 6379, 6379)));
    var egress =
        new TrafficRule(
            List.of(new Peer.Block(Cidr.parse("10.0.0.0/24"), List.of())),
            List.of(new PortMatch.Range(Protocol.TCP, 32000, 32768)));
    assertEquals(
        new Policy(
            "shop.test",
            inNamespace(Map.of("role", "db"), "shop"),
            Set.of(),
            Map.of(Direction.INGRESS, List.of(ingress), Direction.EGRESS, List.of(egress)),
            Map.of()),
        policy);
  }

  @Test
  void defaultDenyOfAllIngress() {
    Policy policy = manifest("shop", "{\"podSelector\": {}, \"policyTypes\": [\"Ingress\"]}");
    assertEquals(inNamespace(Map.of(), "shop"), policy.selector());
    assertEquals(Map.of(Direction.INGRESS, List.of()), policy.rules());
  }

  @Test
  void allowAllIngress() {
    Policy policy =
        manifest("", "{\"podSelector\": {}, \"ingress\": [{}], \"policyTypes\": [\"Ingress\"]}");
    assertEquals("test", policy.name());
    assertEquals(Selector.ANY, policy.selector());
    assertEquals(
        Map.of(Direction.INGRESS, List.of(new TrafficRule(List.of(), List.of()))), policy.rules());
  }

  @Test
  void defaultDenyOfBoth() {
    Policy policy =
        manifest("", "{\"podSelector\": {}, \"policyTypes\": [\"Ingress\", \"Egress\"]}");
    assertEquals(Map.of(Direction.INGRESS, List.of(), Direction.EGRESS, List.of()), policy.rules());
  }

  private static Peer peer(String namespace, String peer) {
    String spec = "{\"podSelector\": {}, \"ingress\": [{\"from\": [" + peer + "]}]}";
    List<TrafficRule> rules =
        manifest(namespace, spec).rules().getOrDefault(Direction.INGRESS, List.of());
    assertEquals(1, rules.size());
    return rules.getFirst().peers().getFirst();
  }

  @Test
  void anyNamespace() {
    assertEquals(
        new Peer.Group(Selector.ANY, Set.of()), peer("shop", "{\"namespaceSelector\": {}}"));
  }

  @Test
  void podsOfSelectedNamespaces() {
    String peer =
        """
        {
          "namespaceSelector": {
            "matchExpressions": [
              {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a", "b"]}
            ]
          },
          "podSelector": {"matchLabels": {"app": "web"}}
        }
        """;
    assertEquals(
        new Peer.Group(inNamespace(Map.of("app", "web"), "a", "b"), Set.of()), peer("shop", peer));
  }

  @Test
  void otherNamespacesAreNotThoseOfContainersWithoutNamespace() {
    var group =
        (Peer.Group)
            peer(
                "shop",
                """
                {
                  "namespaceSelector": {
                    "matchExpressions": [
                      {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["a"]}
                    ]
                  }
                }
                """);
    assertTrue(group.selector().matches(Map.of(Labels.NAMESPACE, "b")));
    assertTrue(!group.selector().matches(Map.of(Labels.NAMESPACE, "a")));
    assertTrue(!group.selector().matches(Map.of("app", "web")));
  }

  @Test
  void podsOfThePolicysNamespace() {
    assertEquals(
        new Peer.Group(inNamespace(Map.of(), "shop"), Set.of()),
        peer("shop", "{\"podSelector\": {}}"));
    assertEquals(new Peer.Group(Selector.ANY, Set.of()), peer("", "{\"podSelector\": {}}"));
  }

  @Test
  void theListThatKubectlPrints() {
    String item =
        """
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
         "metadata": {"name": "deny", "namespace": "%s"}, "spec": {"podSelector": {}}}
        """;
    PolicyFiles files =
        read(
            "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"metadata\": {}, \"items\": ["
                + item.formatted("a")
                + ","
                + item.formatted("b")
                + "]}");
    assertEquals(List.of(), files.problems());
    assertEquals(List.of("a.deny", "b.deny"), files.policies().stream().map(Policy::name).toList());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"kind\": \"NetworkPolicy\" | apiVersion is missing: a manifest has \"networking.k8s.io/v1\"",
        "\"apiVersion\": \"networking.k8s.io/v1beta1\" | apiVersion \"networking.k8s.io/v1beta1\" is not supported",
        "\"kind\": \"Pod\" | kind \"Pod\" is not supported: only \"NetworkPolicy\" is",
        "\"kind\": \"NetworkPolicy\", \"metadata\": {} | metadata.name is missing",
        "\"kind\": \"NetworkPolicy\", \"metadata\": {\"namespace\": \"a.b\"} | metadata.namespace \"a.b\" is no name of a namespace",
        "\"kind\": \"NetworkPolicy\", \"Spec\": {} | Spec is not a known key: did you mean spec?",
        "\"kind\": \"NetworkPolicy\", \"spec\": {\"name\": \"a\"} | spec.name is not a known key",
        "\"kind\": \"NetworkPolicy\", \"spec\": {} | spec.podSelector is missing",
      })
  void problemsOfManifests(String keys, String message) {
    List<Problem> problems = read("{" + keys + "}").problems();
    assertTrue(
        problems.stream().anyMatch(it -> it.toString().contains(message)), problems::toString);
  }
}
