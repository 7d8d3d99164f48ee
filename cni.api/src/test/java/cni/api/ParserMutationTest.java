// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.internal.Excerpt;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Mutated input of every parser of this package: it is read, or refused with the documented
 * exception and a message of bounded length, and what was read can be written and read again.
 */
class ParserMutationTest {
  private static final int ROUNDS = 2000;

  /** The longest message: some values of bounded length, and the text around them. */
  private static final int MAX_MESSAGE_LENGTH = 1500;

  private static final List<String> RESULTS =
      List.of(
          """
          {"cniVersion":"1.1.0","interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","mtu":1500,
          "sandbox":"/run/netns/c","socketPath":"/s","pciID":"0"}],"ips":[{"interface":0,
          "address":"10.1.0.5/16","gateway":"10.1.0.1"},{"interface":-1,"address":"fd00::5/64"}],
          "routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1400,"advmss":1360,"priority":5,
          "table":100,"scope":0}],"dns":{"nameservers":["10.1.0.1"],"domain":"d","search":["a"]}}
          """,
          """
          {"cniVersion":"0.4.0","interfaces":[{"name":"eth0"}],"ips":[{"version":"4",
          "address":"10.1.0.5/16"}],"routes":[{"dst":"::/0","gw":"fd00::1"}],"dns":{}}
          """,
          """
          {"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.5/16","gateway":"10.1.0.1",
          "routes":[{"dst":"0.0.0.0/0"}]},"ip6":{"ip":"fd00::5/64"}}
          """);

  private static final List<String> CONFIGS =
      List.of(
          """
          {"cniVersion":"1.1.0","cniVersions":["0.4.0","1.0.0"],"name":"n","disableGC":"false",
          "disableCheck":true,"loadOnlyInlinedPlugins":true,"plugins":[{"type":"bridge","mtu":1400,
          "capabilities":{"mac":true,"ips":false},"args":{"cni":{"ips":["10.1.0.7"]}},
          "dns":{"nameservers":["10.1.0.1"],"options":["ndots:5"]},"runtimeConfig":{"mac":"m"},
          "ipam":{"type":"host-local","ranges":[[{"subnet":"10.1.0.0/16"}]]},"a":1.5e-3}]}
          """,
          """
          {"cniVersion":"0.3.1","name":"n","type":"ptp","ipam":{},"Name":"m","ipMasq":false}
          """);

  private static final List<String> ARGS =
      List.of("IgnoreUnknown=1;IP=10.1.0.5/16;;MAC=;A=b=c", "");

  private static final List<String> ADDRESSES =
      List.of("10.1.0.5/16", "::ffff:10.1.0.5/112", "fd00::1:2:3:4:5/64", "fe80::1%eth0", "0/0");

  private static final List<String> VERSIONS = List.of("1.1.0", "0.4", "", "9999.0.1", "1.0.0-rc");

  private static final List<String> NAMES =
      List.of("mynet_1.a-b", "eth0", "host-local", "..", "a/b", "é", "k8s_pod_default_0123456789");

  /** What replaces a part of the input: values and delimiters that parsers trip over. */
  private static final List<String> FRAGMENTS =
      List.of(
          "null",
          "true",
          "-1",
          "0",
          "1e999999999",
          "-1e-999999999",
          "9".repeat(2000),
          "0.5",
          "99999999999999999999",
          "2147483648",
          "4294967296",
          "9223372036854775808",
          "1E400",
          "\"\"",
          "[]",
          "{}",
          "[[]]",
          "\"\\u0000\"",
          "\"\\ud800\"",
          "\"\\udfff\\ud800\"",
          "\"../../x\"",
          "\"10.1.0.0/33\"",
          "\"::/129\"",
          "\"::ffff:1.2.3.4/95\"",
          "\"1.1.0\"",
          "\"9.9.9\"",
          "\"0.3.0\"",
          "{\"type\":\"x\"}",
          "\"a\":1,\"a\":2,",
          "\"é\u2028\"",
          "\"" + "y".repeat(5000) + "\"",
          "\"\ud83d\ude00\"",
          "[".repeat(5000),
          "{\"a\":".repeat(5000),
          "]",
          "}",
          ",",
          ":",
          "\"",
          "\\",
          "/",
          "%",
          ";",
          "=",
          ".",
          "::",
          " ",
          "\n",
          "\0",
          "\ufeff",
          "\u0661",
          "/* */",
          "NaN",
          "Infinity",
          "0x10",
          "01",
          "+1",
          "٣");

  private int read;
  private int refused;

  private static String mutate(String text, Random random) {
    var mutated = new StringBuilder(text);
    int changes = random.nextInt(4);
    for (int i = 0; i < changes; i++) {
      int from = random.nextInt(mutated.length() + 1);
      int to = Math.min(mutated.length(), from + random.nextInt(random.nextBoolean() ? 3 : 30));
      mutated.replace(from, to, replacement(mutated, random));
    }
    return mutated.toString();
  }

  private static String replacement(StringBuilder text, Random random) {
    int from = random.nextInt(text.length() + 1);
    return switch (random.nextInt(4)) {
      case 0 -> "";
      case 1 -> String.valueOf((char) random.nextInt(random.nextBoolean() ? 0x80 : 0x10000));
      case 2 -> text.substring(from, Math.min(text.length(), from + random.nextInt(40)));
      default -> FRAGMENTS.get(random.nextInt(FRAGMENTS.size()));
    };
  }

  private static String choose(List<String> seeds, Random random) {
    return mutate(seeds.get(random.nextInt(seeds.size())), random);
  }

  /** Bytes that are not always UTF-8. */
  private static byte[] bytes(String text, Random random) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    if (bytes.length > 0 && random.nextInt(4) == 0) {
      bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
    }
    return bytes;
  }

  private interface Parser {
    void parse() throws CniException;
  }

  /** Runs a parser, which may throw {@link CniException} with one of the codes. */
  private void assertReadOrRefused(Parser parser, List<Integer> codes) {
    try {
      parser.parse();
      read++;
    } catch (CniException e) {
      refused++;
      assertTrue(codes.contains(e.code()), () -> e.code() + ": " + e.getMessage());
      assertFalse(e.getMessage().isBlank());
      assertTrue(e.getMessage().length() <= MAX_MESSAGE_LENGTH, e::getMessage);
      Json.bytes(e.toJson(SpecVersion.CURRENT));
    }
  }

  /** Runs a parser of text, which may throw {@link IllegalArgumentException} itself. */
  private void assertReadOrRefused(Consumer<String> parser, String text) {
    try {
      parser.accept(text);
      read++;
    } catch (IllegalArgumentException e) {
      refused++;
      assertEquals(IllegalArgumentException.class, e.getClass(), text);
      assertTrue(String.valueOf(e.getMessage()).length() <= MAX_MESSAGE_LENGTH);
    }
  }

  @AfterEach
  void bothOutcomesOccurred() {
    assertTrue(read > 100 && refused > 100, "read " + read + ", refused " + refused);
  }

  @Test
  void results() {
    RandomRounds.repeat(
        ROUNDS,
        random -> {
          byte[] input = bytes(choose(RESULTS, random), random);
          assertReadOrRefused(() -> readAndWriteResult(input), List.of(1, 6));
        });
  }

  private static void readAndWriteResult(byte[] input) throws CniException {
    ObjectNode json = Json.parse(input, "the result");
    Json.parse(Json.pretty(json), "printed");
    Result result = ResultJson.read(json, SpecVersion.V1_0_0);
    for (SpecVersion version : SpecVersion.ALL) {
      if (version.atLeast(SpecVersion.V0_3_0)) {
        byte[] written = Json.bytes(ResultJson.write(result, version));
        Result again = ResultJson.read(Json.parse(written, "written"), version);
        assertEquals(result.ips(), again.ips());
      }
    }
    ResultJson.write(result.merge(result), SpecVersion.V0_2_0);
  }

  @Test
  void networkConfigurations() {
    RandomRounds.repeat(
        ROUNDS,
        random -> {
          byte[] input = bytes(choose(CONFIGS, random), random);
          assertReadOrRefused(() -> readConfig(input), List.of(1, 6, 7));
        });
  }

  private static void readConfig(byte[] input) throws CniException {
    String name = NetworkConfig.nameOf(input, "it");
    NetworkConfig config = NetworkConfig.parse(input, "it");
    assertEquals(name, config.name());
    for (PluginConfig plugin : config.plugins()) {
      PluginConfig request =
          plugin.forRequest(name, config.version(), Map.of("mac", Json.object()));
      Json.parse(Json.bytes(request.json()), "the request");
      readSections(request);
    }
    NetworkConfig.parse(Json.bytes(config.json()), "the kept configuration");
  }

  private static void readSections(PluginConfig config) throws CniException {
    config.network();
    config.version();
    config.ipam();
    config.ipamType();
    config.dns();
    config.args();
    config.capabilities();
    config.runtimeConfig();
  }

  /** Reads every key of every object with every accessor. */
  @Test
  void accessors() {
    RandomRounds.repeat(
        ROUNDS / 4,
        random -> {
          byte[] input = bytes(choose(CONFIGS, random), random);
          assertReadOrRefused(() -> readAll(Json.parse(input, "it"), ""), List.of(6));
        });
  }

  private void readAll(JsonNode node, String path) {
    if (!(node instanceof ObjectNode json)) {
      node.forEach(element -> readAll(element, path + "[]"));
      return;
    }
    var object = new ConfigObject(json, path);
    for (String key : object.keys()) {
      List<Parser> accessors = new ArrayList<>();
      accessors.add(() -> object.text(key));
      accessors.add(() -> object.parsed(key, Cidr::parse));
      accessors.add(() -> object.parsed(key, SpecVersion::parse));
      accessors.add(() -> object.bool(key, true));
      accessors.add(() -> object.integer(key, -5, 5));
      accessors.add(() -> object.longInteger(key, Long.MIN_VALUE, Long.MAX_VALUE));
      accessors.add(() -> object.parsedList(key, InetAddresses::parse));
      accessors.add(() -> object.objects(key));
      accessors.add(() -> object.objectLists(key));
      accessors.forEach(accessor -> assertReadOrRefused(accessor, List.of(7)));
      readAll(json.get(key), object.path(key));
    }
  }

  @Test
  void genericArguments() {
    RandomRounds.repeat(
        ROUNDS,
        random -> {
          var args = CniArgs.ofText(choose(ARGS, random));
          assertReadOrRefused(
              () -> assertEquals(args, CniArgs.ofText(CniArgs.of(args.toMap()).text())),
              List.of(4));
        });
  }

  @Test
  void addressesAndVersions() {
    RandomRounds.repeat(
        ROUNDS,
        random -> {
          assertReadOrRefused(ParserMutationTest::readCidr, choose(ADDRESSES, random));
          String address = choose(ADDRESSES, random).replaceFirst("/.*", "");
          assertReadOrRefused(
              text -> {
                var parsed = InetAddresses.parse(text);
                assertEquals(parsed, InetAddresses.parse(InetAddresses.format(parsed)));
              },
              address);
          assertReadOrRefused(
              text -> {
                var version = SpecVersion.parse(text);
                assertEquals(version, SpecVersion.parse(version.toString()));
              },
              choose(VERSIONS, random));
        });
  }

  private static void readCidr(String text) {
    var cidr = Cidr.parse(text);
    assertEquals(cidr, Cidr.parse(cidr.toString()));
    assertTrue(cidr.contains(cidr.lastAddress()) && cidr.contains(cidr.network().address()));
  }

  @Test
  void names() {
    RandomRounds.repeat(
        ROUNDS,
        random -> {
          String name = choose(NAMES, random);
          assertReadOrRefused(() -> Names.requireContainerId(name), List.of(4));
          assertReadOrRefused(() -> Names.requireInterfaceName(name), List.of(4));
          assertReadOrRefused(() -> Names.requireNetworkName(name), List.of(7));
          assertReadOrRefused(() -> Names.requirePluginType(name), List.of(7));
          assertTrue(Excerpt.of(name).codePointCount(0, Excerpt.of(name).length()) <= 230);
        });
  }
}
