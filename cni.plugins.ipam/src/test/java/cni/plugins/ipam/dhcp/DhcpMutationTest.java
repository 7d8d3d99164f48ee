// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static org.junit.jupiter.api.Assertions.assertThrows;

import cni.api.Cidr;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Dns;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.testing.MutationCampaign;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** Readers of what servers, daemons, configurations and files say, with mutated input. */
class DhcpMutationTest {
  private static final Result RESULT =
      new Result(
          List.of(),
          List.of(
              new Result.IpConfig(
                  Cidr.parse("10.1.0.5/16"),
                  Optional.of(InetAddresses.parse("10.1.0.1")),
                  OptionalInt.empty()),
              new Result.IpConfig(
                  Cidr.parse("fd00::5/128"), Optional.empty(), OptionalInt.empty())),
          List.of(
              new Result.Route(
                  Cidr.parse("0.0.0.0/0"), Optional.of(InetAddresses.parse("10.1.0.1")))),
          new Dns(List.of("10.1.0.2"), "example.org", List.of("a"), List.of()));

  @Test
  void repliesOfADaemon() throws Exception {
    var out = new ByteArrayOutputStream();
    new GobWriter(out).write(GobSchema.RESULT, GobResult.write(RESULT));
    MutationCampaign.run(
        "replies of a daemon",
        List.of(out.toByteArray()),
        bytes -> GobResult.read(new GobReader(new ByteArrayInputStream(bytes)).read()),
        IOException.class);
  }

  /** Replies whose fields have other types than the reference daemon's. */
  @Test
  void repliesOfOtherTypes() throws Exception {
    GobType.Struct other =
        GobType.struct(
            "Result",
            GobType.field("IPs", new GobType.Slice(GobType.Basic.STRING)),
            GobType.field("Routes", new GobType.Slice(GobType.Basic.INT)),
            GobType.field("DNS", GobType.Basic.STRING));
    var out = new ByteArrayOutputStream();
    new GobWriter(out).write(other, Map.of("DNS", "text"));
    byte[] valid = out.toByteArray();
    out.reset();
    new GobWriter(out).write(other, Map.of("IPs", List.of("a"), "Routes", List.of(1L)));
    byte[] invalid = out.toByteArray();
    MutationCampaign.Target<byte[]> parser =
        bytes -> GobResult.read(new GobReader(new ByteArrayInputStream(bytes)).read());
    assertThrows(IOException.class, () -> parser.accept(invalid));
    MutationCampaign.run("replies of other types", List.of(valid), parser, IOException.class);
  }

  @Test
  void requestsToTheDaemon() throws Exception {
    var out = new ByteArrayOutputStream();
    var writer = new GobWriter(out);
    writer.write(GobSchema.REQUEST, Map.of("ServiceMethod", "DHCP.Allocate", "Seq", 1L));
    writer.write(
        GobSchema.CMD_ARGS,
        Map.of("ContainerID", "c", "Netns", "/n", "IfName", "eth0", "StdinData", new byte[] {1}));
    MutationCampaign.run(
        "requests to the daemon",
        List.of(out.toByteArray()),
        bytes -> {
          var reader = new GobReader(new ByteArrayInputStream(bytes));
          reader.read();
          reader.read();
        },
        IOException.class);
  }

  @Test
  void leaseFiles() throws Exception {
    MutationCampaign.run(
        "leases",
        List.of(Json.bytes(LeaseDirectoryTest.lease("c").toJson())),
        bytes -> {
          Lease lease = Lease.read(new ConfigObject(Json.parse(bytes, "lease"), ""));
          var _ = lease.binding().untilExpiry().toMillis();
          LeaseManager.describe(lease);
          lease.binding().addresses().getFirst();
          lease.toJson();
        },
        CniException.class);
  }

  @Test
  void configurations() throws Exception {
    String config =
        """
        {"cniVersion":"1.1.0","name":"n","type":"macvlan","ipam":{"type":"dhcp",
         "daemonSocketPath":"/run/d.sock","families":["ipv4","ipv6"],"priority":7,
         "provide":[{"option":"host-name","value":"h"},{"option":"12","fromArg":"X"}],
         "request":[{"option":"121"},{"skipDefault":true,"option":"routers"}]}}
        """;
    MutationCampaign.run(
        "configurations of dhcp",
        List.of(config.getBytes(StandardCharsets.UTF_8)),
        bytes -> {
          PluginConfig parsed = PluginConfig.of(new ConfigObject(Json.parse(bytes, "test"), ""));
          DhcpConfig.parse(parsed);
          DhcpClientOptions.parse(parsed.requireIpam("dhcp"), CniArgs.of(Map.of("X", "x")));
        },
        CniException.class);
  }

  @Test
  void dhcpv4Datagrams() throws Exception {
    Map<Integer, byte[]> options =
        Map.of(
            Dhcpv4Message.MESSAGE_TYPE,
            new byte[] {5},
            DhcpClientOptions.SUBNET_MASK,
            new byte[] {-1, -1, 0, 0},
            DhcpClientOptions.ROUTERS,
            new byte[] {10, 1, 0, 1},
            DhcpClientOptions.CLASSLESS_ROUTES,
            HexFormat.of().parseHex("190a0900800a010003000a010004"),
            52,
            new byte[] {3});
    byte[] message =
        new Dhcpv4Message(
                true,
                77,
                3,
                false,
                Dhcpv4Message.UNSPECIFIED,
                InetAddresses.parse("10.1.0.5"),
                "02:11:22:33:44:55",
                options)
            .encode();
    MutationCampaign.run(
        "DHCPv4 messages",
        List.of(message),
        bytes -> {
          Optional<Dhcpv4Message> read = Dhcpv4Message.decode(ByteBuffer.wrap(bytes));
          if (read.isPresent()) {
            Dhcpv4Client.binding(read.get()).toJson();
          }
          UdpDatagram.decode(bytes);
        },
        CniException.class);
    byte[] datagram =
        UdpDatagram.encode(
            Dhcpv4Message.UNSPECIFIED, 67, InetAddresses.parse("255.255.255.255"), 68, message);
    MutationCampaign.run("datagrams", List.of(datagram), UdpDatagram::decode);
  }

  @Test
  void dhcpv6Datagrams() throws Exception {
    ByteBuffer address = ByteBuffer.allocate(24);
    address.put(InetAddresses.parse("fd00::5").getAddress()).putInt(100).putInt(200);
    var association =
        Dhcpv6Message.Option.of(
            Dhcpv6Message.IA_NA,
            new byte[12],
            List.of(new Dhcpv6Message.Option(Dhcpv6Message.IA_ADDRESS, address.array())));
    List<Dhcpv6Message.Option> options =
        List.of(
            association,
            new Dhcpv6Message.Option(Dhcpv6Message.SERVER_ID, new byte[] {1, 2}),
            new Dhcpv6Message.Option(Dhcpv6Message.DNS_SERVERS, new byte[32]),
            new Dhcpv6Message.Option(Dhcpv6Message.DOMAIN_LIST, new byte[] {1, 'a', 1, 'b', 0}),
            new Dhcpv6Message.Option(Dhcpv6Message.STATUS_CODE, new byte[2]));
    MutationCampaign.run(
        "DHCPv6 messages",
        List.of(new Dhcpv6Message(Dhcpv6Message.REPLY, 7, options).encode()),
        bytes -> {
          Optional<Dhcpv6Message> read = Dhcpv6Message.decode(ByteBuffer.wrap(bytes));
          if (read.isPresent()) {
            new Dhcpv6Reply(read.get()).binding().toJson();
          }
        },
        CniException.class,
        LeaseRefusedException.class);
  }
}
