// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.policy.Direction;
import cni.policy.Peer;
import cni.policy.Policy;
import cni.policy.PortMatch;
import cni.policy.Protocol;
import cni.policy.RateLimit;
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

class PolicyReaderTest {
  private static final Path FILE = Path.of("p.json");

  private static PolicyFiles read(String text) {
    return PolicyReader.read(text.getBytes(StandardCharsets.UTF_8), FILE);
  }

  private static Policy readOne(String text) {
    PolicyFiles files = read(text);
    assertEquals(List.of(), files.problems());
    assertEquals(1, files.policies().size());
    return files.policies().getFirst();
  }

  private static Selector labels(String key, String value) {
    return new Selector(Map.of(key, value), List.of());
  }

  @Test
  void allPartsOfAPolicyAreRead() {
    Policy policy =
        readOne(
            """
            {
              "name": "db",
              "networks": ["tenant-a"],
              "podSelector": {
                "matchLabels": {"app": "db"},
                "matchExpressions": [
                  {"key": "example.com/tier", "operator": "NotIn", "values": ["test", ""]},
                  {"key": "old", "operator": "DoesNotExist"}
                ]
              },
              "policyTypes": ["Ingress", "Egress"],
              "ingress": [
                {
                  "from": [
                    {"podSelector": {"matchLabels": {"app": "web"}}, "networks": ["front"]},
                    {"networks": ["back"]},
                    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}
                  ],
                  "ports": [
                    {"port": 5432},
                    {"protocol": "UDP", "port": 1000, "endPort": 2000},
                    {"protocol": "SCTP", "port": "control"},
                    {"protocol": "ICMP"},
                    {}
                  ]
                }
              ],
              "egress": [],
              "bandwidth": {"egressRate": 1000000, "egressBurst": 2000000}
            }
            """);
    var expected =
        new Policy(
            "db",
            new Selector(
                Map.of("app", "db"),
                List.of(
                    new Requirement("example.com/tier", Operator.NOT_IN, Set.of("test", "")),
                    new Requirement("old", Operator.DOES_NOT_EXIST, Set.of()))),
            Set.of("tenant-a"),
            Map.of(
                Direction.INGRESS,
                List.of(
                    new TrafficRule(
                        List.of(
                            new Peer.Group(labels("app", "web"), Set.of("front")),
                            new Peer.Group(Selector.ANY, Set.of("back")),
                            new Peer.Block(
                                Cidr.parse("10.0.0.0/8"), List.of(Cidr.parse("10.1.0.0/16")))),
                        List.of(
                            new PortMatch.Range(Protocol.TCP, 5432, 5432),
                            new PortMatch.Range(Protocol.UDP, 1000, 2000),
                            new PortMatch.Named(Protocol.SCTP, "control"),
                            new PortMatch.All(Protocol.ICMP),
                            new PortMatch.All(Protocol.TCP)))),
                Direction.EGRESS,
                List.of()),
            Map.of(Direction.EGRESS, new RateLimit(1_000_000, 2_000_000)));
    assertEquals(expected, policy);
    assertEquals(policy, readOne(PolicyJson.of(policy).toString()));
    assertEquals(policy, readOne(PolicyJson.of(List.of(policy)).toString()));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'' | INGRESS",
        ", \"ingress\": [] | INGRESS",
        ", \"egress\": [{}] | INGRESS EGRESS",
        ", \"policyTypes\": [\"Egress\"] | EGRESS",
        ", \"policyTypes\": [\"Egress\"], \"egress\": [] | EGRESS",
        ", \"bandwidth\": {\"ingressRate\": 8} | ``",
        ", \"bandwidth\": {\"ingressRate\": 8}, \"ingress\": [] | INGRESS",
        ", \"bandwidth\": {\"ingressRate\": 8}, \"egress\": [{}] | INGRESS EGRESS",
      })
  void directionsAreThoseOfKubernetes(String keys, String directions) {
    String more = keys.equals("''") ? "" : keys;
    Policy policy = readOne("{\"name\": \"a\", \"podSelector\": {}" + more + "}");
    String found =
        policy.rules().keySet().stream().sorted().map(Enum::name).reduce("", (a, b) -> a + " " + b);
    assertEquals(directions == null ? "" : directions, found.strip());
  }

  @Test
  void theDefaultBurstIsATenthOfASecondButAtLeastTwoPacketsOf64KiB() {
    Policy policy =
        readOne(
            """
            {"name": "a", "podSelector": {},
             "bandwidth": {"ingressRate": 100000000, "egressRate": 8}}
            """);
    assertEquals(new RateLimit(100_000_000, 10_000_000), policy.limits().get(Direction.INGRESS));
    assertEquals(new RateLimit(8, 2 * 8 * 65536), policy.limits().get(Direction.EGRESS));
  }

  /** {@code body} replaces the part of a valid policy after its name. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"podSelector\": {}} | 1: name is missing: name the policy",
        "{\"name\": \"a\"} | 1: podSelector is missing: {} selects all containers",
        "{\"name\": \"A_b\", \"podSelector\": {}} | 1: name \"A_b\" is no name of a policy",
        "{\"name\": 5, \"podSelector\": {}} | 1: name 5 must be a string: write \"5\" with quotes",
        "{\"name\": \"a\", \"podSelector\": null} | podSelector null is not allowed",
        "{\"name\": \"a\", \"podSelector\": []} | podSelector [] must be an object",
        "{\"name\": \"a\", \"podselector\": {}} | podselector is not a known key: did you mean podSelector?",
        "{\"name\": \"a\", \"podSelector\": {}, \"ingres\": []} | ingres is not a known key: did you mean ingress?",
        "{\"name\": \"a\", \"podSelector\": {}, \"zzz\": []} | zzz is not a known key: known are name,",
        "{\"name\": \"a\", \"podSelector\": {}, \"podSelector\": {\"matchLabels\": {\"a\": \"b\"}}} | podSelector appears more than once",
        "{\"name\": \"a\", \"podSelector\": {\"matchLabels\": {\"a\": \"b\", \"a\": \"c\"}}} | podSelector.matchLabels.a appears more than once",
        "{\"name\": \"a\", \"podSelector\": {\"matchLabels\": {\"a\": true}}} | podSelector.matchLabels.a true must be a string: write \"true\"",
        "{\"name\": \"a\", \"podSelector\": {\"matchLabels\": {\"a\": null}}} | podSelector.matchLabels.a null is not allowed",
        "{\"name\": \"a\", \"podSelector\": {\"matchLabels\": {\"-a\": \"b\"}}} | podSelector.matchLabels.-a \"b\" is no label",
        "{\"name\": \"a\", \"podSelector\": {\"matchLabels\": {\"A/a\": \"b\"}}} | prefix must be a domain in lower case",
        "{\"name\": \"a\", \"podSelector\": {\"matchLabels\": {\"a\": \"b c\"}}} | \"b c\" is no value of a label",
        "{\"name\": \"a\", \"podSelector\": {\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"in\", \"values\": [\"b\"]}]}} | \"in\" is not an operator: did you mean In?",
        "{\"name\": \"a\", \"podSelector\": {\"matchExpressions\": [{\"key\": \"a\"}]}} | matchExpressions[0].operator is missing: it must be one of In, NotIn, Exists",
        "{\"name\": \"a\", \"podSelector\": {\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"In\", \"values\": []}]}} | values [] needs at least one value for In",
        "{\"name\": \"a\", \"podSelector\": {\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"NotIn\"}]}} | values needs at least one value for NotIn",
        "{\"name\": \"a\", \"podSelector\": {\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"Exists\", \"values\": [\"b\"]}]}} | values [\"b\"] is not allowed with Exists",
        "{\"name\": \"a\", \"podSelector\": {}, \"policyTypes\": []} | policyTypes [] must name Ingress, Egress or both",
        "{\"name\": \"a\", \"podSelector\": {}, \"policyTypes\": [\"ingress\"]} | policyTypes[0] \"ingress\" is not a policy type: did you mean Ingress?",
        "{\"name\": \"a\", \"podSelector\": {}, \"policyTypes\": [\"Egress\"], \"ingress\": []} | ingress [] has no effect: add \"Ingress\" to policyTypes",
        "{\"name\": \"a\", \"podSelector\": {}, \"egress\": []} | egress [] has no effect without policyTypes",
        "{\"name\": \"a\", \"podSelector\": {}, \"ingress\": {}} | ingress {} must be a list of objects",
        "{\"name\": \"a\", \"podSelector\": {}, \"ingress\": [{\"to\": []}]} | ingress[0].to is not a known key: known are from, ports",
        "{\"name\": \"a\", \"podSelector\": {}, \"ingress\": [{\"from\": null}]} | ingress[0].from null is not allowed",
        "{\"name\": \"a\", \"networks\": []} | networks [] must name a network",
        "{\"name\": \"a\", \"networks\": [\"a/b\"]} | networks[0] \"a/b\" is no name of a network",
        "{\"name\": \"a\", \"podSelector\": {}, \"bandwidth\": {}} | bandwidth {} must have ingressRate, egressRate or both",
        "{\"name\": \"a\", \"podSelector\": {}, \"bandwidth\": {\"ingressRate\": 0}} | bandwidth.ingressRate 0 must be between 8 and 147572904008: its unit is bits per second",
        "{\"name\": \"a\", \"podSelector\": {}, \"bandwidth\": {\"ingressRate\": -5}} | bandwidth.ingressRate -5 must be between 8 and",
        "{\"name\": \"a\", \"podSelector\": {}, \"bandwidth\": {\"ingressRate\": 99999999999999999999}} | bandwidth.ingressRate 99999999999999999999",
        "{\"name\": \"a\", \"podSelector\": {}, \"bandwidth\": {\"ingressRate\": 1.5}} | bandwidth.ingressRate 1.5 must be a whole number",
        "{\"name\": \"a\", \"podSelector\": {}, \"bandwidth\": {\"ingressRate\": \"80\"}} | bandwidth.ingressRate \"80\" must be a whole number: write 80, no quotes",
        "{\"name\": \"a\", \"podSelector\": {}, \"bandwidth\": {\"ingressRate\": 80, \"ingressBurst\": 524287}} | bandwidth.ingressBurst 524287 must be between 524288 and 34359738359",
        "{\"name\": \"a\", \"podSelector\": {}, \"bandwidth\": {\"ingressRate\": 147572904009}} | bandwidth.ingressRate 147572904009 must be between",
        "{\"name\": \"a\", \"podSelector\": {}, \"bandwidth\": {\"egressRate\": 140000000000, \"egressBurst\": 7573952585}} | bandwidth.egressBurst 7573952585 must be at most 7573952584 with egressRate 140000000000",
        "{\"name\": \"a\", \"podSelector\": {}, \"bandwidth\": {\"ingressBurst\": 524288}} | bandwidth.ingressBurst 524288 needs ingressRate",
      })
  void aProblemNamesKeyValueAndRemedy(String text, String message) {
    assertProblem(text, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{} | from[0] {} selects nothing: give it a podSelector",
        "{\"podSelector\": {}, \"ipBlock\": {\"cidr\": \"10.0.0.0/8\"}} | has ipBlock and a selector: make two peers of them",
        "{\"ipBlock\": {}} | from[0].ipBlock.cidr is missing",
        "{\"ipBlock\": {\"cidr\": \"10.1.2.3/8\"}} | cidr \"10.1.2.3/8\" has bits set behind its prefix: write \"10.0.0.0/8\"",
        "{\"ipBlock\": {\"cidr\": \"fd00::1/64\"}} | cidr \"fd00::1/64\" has bits set behind its prefix: write \"fd00::/64\"",
        "{\"ipBlock\": {\"cidr\": \"10.0.0.0\"}} | cidr \"10.0.0.0\" is not an address with a prefix",
        "{\"ipBlock\": {\"cidr\": \"10.0.0.0/33\"}} | has a prefix outside 0 to 32",
        "{\"ipBlock\": {\"cidr\": \"host/8\"}} | cidr \"host/8\" is not an IP address",
        "{\"ipBlock\": {\"cidr\": \"10.0.0.0/8\", \"except\": [\"11.0.0.0/16\"]}} | except[0] \"11.0.0.0/16\" is not a part of cidr \"10.0.0.0/8\"",
        "{\"ipBlock\": {\"cidr\": \"10.0.0.0/8\", \"except\": [\"10.0.0.0/8\"]}} | except[0] \"10.0.0.0/8\" is not a part of cidr",
        "{\"ipBlock\": {\"cidr\": \"10.0.0.0/8\", \"except\": [5, \"fd00::/64\"]}} | except[1] \"fd00::/64\" is not a part of cidr",
        "{\"ipBlock\": {\"cidr\": \"10.0.0.0/8\", \"excepts\": []}} | excepts is not a known key: did you mean except?",
        "{\"namespaceSelector\": {\"matchLabels\": {\"team\": \"a\"}}} | selects namespaces by the label team, which this host does not know",
        "{\"namespaceSelector\": {\"matchExpressions\": [{\"key\": \"kubernetes.io/metadata.name\", \"operator\": \"DoesNotExist\"}]}} | selects no namespace",
      })
  void aProblemOfAPeerNamesKeyValueAndRemedy(String peer, String message) {
    assertProblem(
        "{\"name\": \"a\", \"podSelector\": {}, \"ingress\": [{\"from\": [" + peer + "]}]}",
        message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"protocol\": \"tcp\"} | protocol \"tcp\" is not a protocol of a rule: did you mean TCP?",
        "{\"protocol\": \"GRE\"} | protocol \"GRE\" is not a protocol of a rule: known are TCP, UDP, SCTP, ICMP",
        "{\"protocol\": \"ICMP\", \"port\": 8} | port 8 is not allowed: ICMP has no ports",
        "{\"protocol\": \"ICMP\", \"endPort\": 8} | endPort 8 is not allowed: ICMP has no ports",
        "{\"port\": 0} | ports[0].port 0 must be a port from 1 to 65535",
        "{\"port\": 65536} | ports[0].port 65536 must be a port from 1 to 65535",
        "{\"port\": \"80\"} | ports[0].port \"80\" is the name of a port: write 80 without quotes",
        "{\"port\": \"Http\"} | ports[0].port \"Http\" is no name of a port",
        "{\"port\": \"a-very-long-name\"} | is no name of a port: it must have 1 to 15",
        "{\"port\": true} | ports[0].port true must be a whole number",
        "{\"endPort\": 90} | endPort 90 needs port",
        "{\"port\": \"http\", \"endPort\": 90} | endPort 90 cannot be combined with the name",
        "{\"port\": 91, \"endPort\": 90} | endPort 90 is less than port 91",
        "{\"port\": 91, \"endport\": 99} | endport is not a known key: did you mean endPort?",
      })
  void aProblemOfAPortNamesKeyValueAndRemedy(String port, String message) {
    assertProblem(
        "{\"name\": \"a\", \"podSelector\": {}, \"ingress\": [{\"ports\": [" + port + "]}]}",
        message);
  }

  private static void assertProblem(String text, String message) {
    PolicyFiles files = read(text);
    assertTrue(
        files.problems().stream().anyMatch(it -> it.toString().contains(message)),
        () -> files.problems().toString());
    assertEquals(List.of(), files.policies());
  }

  @Test
  void labelsHaveAtMost63Characters() {
    String longest = "a".repeat(63);
    String text = "{\"name\": \"a\", \"podSelector\": {\"matchLabels\": {\"x.y/%s\": \"%s\"}}}";
    readOne(text.formatted(longest, longest));
    assertProblem(
        text.formatted(longest + "a", longest), "is no label: its name must have 1 to 63");
    assertProblem(text.formatted(longest, longest + "a"), "is no value of a label");
  }

  @Test
  void allProblemsAreReportedWithTheirLines() {
    PolicyFiles files =
        read(
            """
            [
              {"name": "good", "podSelector": {}},
              {
                "name": "bad",
                "podSelector": {},
                "ingress": [
                  {
                    "ports": [
                      {"port": 0},
                      {"port": "Http",
                       "endPort": 5}
                    ],
                    "form": []
                  }
                ]
              },
              5
            ]
            """);
    assertEquals(
        List.of(
            "p.json:9: [1].ingress[0].ports[0].port 0",
            "p.json:10: [1].ingress[0].ports[1].port \"Http\"",
            "p.json:11: [1].ingress[0].ports[1].endPort 5",
            "p.json:13: [1].ingress[0].form is",
            "p.json:17: [2] 5"),
        files.problems().stream()
            .map(it -> it.toString().replaceFirst(" (must|cannot|not|is no ).*", ""))
            .toList());
    assertEquals(List.of("good"), files.policies().stream().map(Policy::name).toList());
  }

  @Test
  void onlyTheFirstThousandProblemsAreKeptButNoPolicyPasses() {
    String broken = "{\"name\": \"a\"},";
    String good = "{\"name\": \"good\", \"podSelector\": {}}";
    PolicyFiles files = read("[" + broken.repeat(2000) + good + "]");
    assertEquals(1001, files.problems().size());
    assertEquals(
        "p.json: has 1000 more problems: correct the others first",
        files.problems().getFirst().toString());
    assertEquals(List.of("good"), files.policies().stream().map(Policy::name).toList());
  }
}
