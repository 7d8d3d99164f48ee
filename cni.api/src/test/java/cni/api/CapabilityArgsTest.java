// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

class CapabilityArgsTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "8080:80; 8080:80/tcp",
        "5353:53/UDP; 5353:53/udp",
        "127.0.0.1:8080:80; 127.0.0.1:8080:80/tcp",
        "[::1]:8080:80/sctp; [::1]:8080:80/sctp",
        "0.0.0.0:1:65535; 0.0.0.0:1:65535/tcp",
        "8000-8002:9000-9002/udp; 8000:9000/udp 8001:9001/udp 8002:9002/udp",
      })
  void portMappingsAreParsed(String text, String expected) {
    List<PortMapping> mappings = PortMapping.parse(text);
    assertEquals(
        expected, mappings.stream().map(PortMapping::toString).collect(Collectors.joining(" ")));
    for (PortMapping mapping : mappings) {
      assertEquals(List.of(mapping), PortMapping.parse(mapping.toString()));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "80; must be HOSTPORT:CONTAINERPORT",
        "''; must be HOSTPORT:CONTAINERPORT",
        "8o80:80; has the port \"8o80\"",
        "8080:; has the port \"\"",
        ":80; has the port \"\"",
        "0:80; has the port \"0\"",
        "8080:65536; has the port \"65536\"",
        "8080:-1; has the port \"\"",
        "8080:80/icmp; has the protocol \"icmp\", which must be tcp, udp or sctp",
        "8080:80/; has the protocol \"\"",
        "8000-8010:80; maps 11 ports of the host to 1 of the container",
        "8010-8000:8010-8000; has the port range 8010-8000, which ends before it begins",
        "::1:8080:80; must have the IPv6 address in brackets",
        "[10.0.0.1]:8080:80; must have brackets around IPv6 addresses only",
        "localhost:8080:80; has the host address \"localhost\", which is not an IP address",
        "224.0.0.1:80:80; has the host address \"224.0.0.1\", which is no address of a host",
        "[ff02::1]:80:80; has the host address \"ff02::1\", which is no address of a host",
        "255.255.255.255:80:80; has the host address \"255.255.255.255\", which is no address",
        "1-65535:1-65535; has 65535 ports",
        "1-4097:1-4097/udp; has 4097 ports",
      })
  void malformedPortMappingsAreRefused(String text, String message) {
    assertRefused(message, () -> PortMapping.parse(text));
  }

  private static void assertRefused(String message, Runnable parse) {
    String actual =
        String.valueOf(assertThrows(IllegalArgumentException.class, parse::run).getMessage());
    assertTrue(actual.startsWith(message), actual);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "10M; 10000000 1000000 10000000 1000000",
        "10Mbit; 10000000 1000000 10000000 1000000",
        "1.5G; 1500000000 150000000 1500000000 150000000",
        "500k; 500000 524288 500000 524288", // at least a packet of 64 KiB
        "12345; 12345 524288 12345 524288",
        "in=10M; 10000000 1000000 - -",
        "out=10m; - - 10000000 1000000",
        "in=10M,out=5M,burst=2M; 10000000 2000000 5000000 2000000",
        "in=10M,out=5M,out-burst=2M; 10000000 1000000 5000000 2000000",
        "in=10M,in-burst=3M; 10000000 3000000 - -",
        "9T; 9000000000000 34359738359 9000000000000 34359738359", // the kernel's limit
      })
  void bandwidthLimitsAreParsed(String text, String expected) {
    BandwidthLimit limit = BandwidthLimit.parse(text);
    assertEquals(expected, describe(limit.ingress()) + " " + describe(limit.egress()));
    assertEquals(limit, BandwidthLimit.parse(limit.toString()));
  }

  private static String describe(Optional<BandwidthLimit.Rate> rate) {
    return rate.map(it -> it.bitsPerSecond() + " " + it.burstBits()).orElse("- -");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "fast; has the value \"fast\"",
        "''; has the value \"\"",
        "10Mbps; has the value \"10Mbps\"", // bytes or bits?
        "10MB; has the value \"10MB\"",
        "-10M; has the value \"-10M\"",
        "1e9; has the value \"1e9\"",
        "1.2.3M; has the value \"1.2.3M\"",
        "7; has the value \"7\"",
        "0.5; has the value \"0.5\"",
        "99999999999T; has the value",
        "up=10M; has the key \"up\"; known are in, out, burst, in-burst, out-burst",
        "burst=1M; has no rate",
        "in=10M,burst=35G; has a burst above 34359738359 bits",
        "in=10M,; has the value \"\"",
        "in=10M,in=5M; has the key \"in\" twice",
        "10M,5M; has two rates for both directions",
        "100000T; is out of range: a burst of 34359738359 bits takes less than a microsecond",
        "10G,burst=8; is out of range: a burst of 8 bits takes less than a microsecond",
      })
  void malformedBandwidthLimitsAreRefused(String text, String message) {
    assertRefused(message, () -> BandwidthLimit.parse(text));
  }

  @Test
  void aLimitReadFromAConfigurationIsOneOfTheKernel() throws Exception {
    var limits = Json.object().put("ingressRate", 10_000_000_000L).put("ingressBurst", 8);
    CniException e =
        assertThrows(
            CniException.class, () -> BandwidthLimit.read(new ConfigObject(limits, "bandwidth")));
    assertTrue(
        e.getMessage().startsWith("bandwidth.ingressBurst 8 is out of range for ingressRate"),
        e::getMessage);
  }

  @Test
  void everyWrongValueOfAPortMappingIsNamed() {
    var entry = Json.object().put("hostPort", 0).put("protocol", "icmp").put("hostIP", "224.0.0.1");
    CniException e =
        assertThrows(
            CniException.class, () -> PortMapping.read(new ConfigObject(entry, "portMappings[0]")));
    for (String key : List.of("hostPort 0", "containerPort", "protocol", "hostIP")) {
      assertTrue(e.getMessage().contains("portMappings[0]." + key), e::getMessage);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "a b", "a\nnameserver 10.0.0.1", "\t"})
  void searchDomainsHaveNoWhiteSpace(String domain) {
    assertRefused("is no domain", () -> CapabilityArgs.builder().dnsSearch(domain));
  }

  @ParameterizedTest
  @CsvSource({
    "10.1.0.0/16, '{\"subnet\":\"10.1.0.0/16\"}'",
    "10.1.0.5-10.1.0.9/16,"
        + " '{\"subnet\":\"10.1.0.0/16\",\"rangeStart\":\"10.1.0.5\",\"rangeEnd\":\"10.1.0.9\"}'",
    "fd00::5-fd00::9/64,"
        + " '{\"subnet\":\"fd00::/64\",\"rangeStart\":\"fd00::5\",\"rangeEnd\":\"fd00::9\"}'",
  })
  void rangesAreParsed(String text, String json) {
    assertEquals(json, IpRange.parse(text).toJson().toString());
  }

  @ParameterizedTest
  @CsvSource({"10.1.0.1/16, has bits set", "10.2.0.1-10.1.0.9/16, has the address 10.2.0.1"})
  void malformedRangesAreRefused(String text, String message) {
    assertRefused(message, () -> IpRange.parse(text));
  }

  @Test
  void builderWritesTheFormOfTheConventions() throws Exception {
    CapabilityArgs args =
        CapabilityArgs.builder()
            .portMapping(PortMapping.tcp(8080, 80))
            .portMappings(PortMapping.parse("127.0.0.1:5353:53/udp"))
            .bandwidth(BandwidthLimit.parse("in=10M"))
            .ip(Cidr.parse("10.1.0.5/16"))
            .ip(InetAddresses.parse("fd00::5"))
            .ipRangeSet(IpRange.parse("10.1.0.0/16").withGateway(InetAddresses.parse("10.1.0.9")))
            .ipRangeSet(IpRange.parse("fd00::/64"))
            .mac("02:00:00:00:00:05")
            .dnsServer(InetAddresses.parse("10.1.0.1"))
            .dnsSearch("example.com")
            .alias("web")
            .label("app", "web")
            .namedPort("http", 8080, TransportProtocol.TCP)
            .namedPort("dns", "53/udp")
            .put("custom", StringNode.valueOf("x"))
            .build();
    ObjectNode expected =
        Json.parse(
            """
            { "portMappings": [
                { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
                { "hostPort": 5353, "containerPort": 53, "protocol": "udp",
                  "hostIP": "127.0.0.1" } ],
              "bandwidth": { "ingressRate": 10000000, "ingressBurst": 1000000 },
              "ips": [ "10.1.0.5/16", "fd00::5" ],
              "ipRanges": [ [ { "subnet": "10.1.0.0/16", "gateway": "10.1.0.9" } ],
                            [ { "subnet": "fd00::/64" } ] ],
              "mac": "02:00:00:00:00:05",
              "dns": { "servers": [ "10.1.0.1" ], "searches": [ "example.com" ] },
              "aliases": [ "web" ],
              "labels": { "app": "web" },
              "namedPorts": { "http": "8080/tcp", "dns": "53/udp" },
              "custom": "x" }
            """,
            "expected");
    ObjectNode actual = Json.object();
    actual.setAll(args.toMap());
    assertEquals(Json.pretty(expected), Json.pretty(actual));
  }

  @Test
  void whatIsWrittenIsRead() throws Exception {
    PortMapping mapping = PortMapping.parse("[::1]:8080:80/sctp").getFirst();
    assertEquals(mapping, PortMapping.read(new ConfigObject(mapping.toJson(), "portMappings[0]")));
    BandwidthLimit limit = BandwidthLimit.parse("in=10M,out=5M,burst=2M");
    assertEquals(limit, BandwidthLimit.read(new ConfigObject(limit.toJson(), "bandwidth")));
  }

  @Test
  void argumentsAreSelectedAndCombined() {
    CapabilityArgs first = CapabilityArgs.builder().mac("a").alias("x").build();
    CapabilityArgs second = CapabilityArgs.builder().mac("b").build();
    assertEquals(second, first.only(Set.of("mac", "ips")).with(second));
    assertEquals(first, second.with(first));
    assertEquals(CapabilityArgs.NONE, first.only(Set.of()));
    assertEquals(Set.of("mac", "aliases"), first.names());
    assertEquals("{\"mac\":\"b\"}", second.toString());
  }

  @Test
  void argumentsDoNotChangeWithTheirBuilder() {
    CapabilityArgs.Builder builder = CapabilityArgs.builder().alias("x");
    CapabilityArgs built = builder.build();
    builder.alias("y").mac("m");
    assertEquals("[\"x\"]", String.valueOf(built.toMap().get("aliases")));
    assertEquals(Set.of("aliases"), built.names());
    Map<String, ?> map = built.toMap();
    assertThrows(UnsupportedOperationException.class, map::clear);
  }

  @ParameterizedTest
  @EnumSource
  void examplesOfCapabilitiesAreJson(Capability capability) throws Exception {
    String json = "{\"" + capability.key() + "\": " + capability.example() + "}";
    assertEquals(List.of(capability.key()), new ConfigObject(Json.parse(json, "x"), "").keys());
    assertEquals(Optional.of(capability), Capability.of(capability.key()));
    assertEquals(
        Optional.of(capability), Capability.nearest(capability.key().toLowerCase(Locale.ROOT)));
  }

  @Test
  void aForeignCapabilityIsNotWellKnown() {
    assertEquals(Optional.empty(), Capability.of("portmappings"));
    assertEquals(Optional.of(Capability.PORT_MAPPINGS), Capability.nearest("portMapings"));
    assertEquals(Optional.empty(), Capability.nearest("gpu"));
  }
}
