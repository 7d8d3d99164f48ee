// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.InetAddresses;
import cni.api.Result;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Encoding and decoding of the messages of both protocols, with corrupt input too. */
class DhcpMessageTest {
  private static final String MAC = "02:11:22:33:44:55";

  private static Dhcpv4Message message(Map<Integer, byte[]> options) {
    return new Dhcpv4Message(
        true,
        77,
        3,
        false,
        Dhcpv4Message.UNSPECIFIED,
        InetAddresses.parse("10.1.0.5"),
        MAC,
        new LinkedHashMap<>(options));
  }

  private static Dhcpv4Message decode(byte[] bytes) {
    return Dhcpv4Message.decode(ByteBuffer.wrap(bytes)).orElseThrow();
  }

  @Test
  void dhcpv4MessageRoundTrips() {
    byte[] longValue = new byte[600];
    new Random(1).nextBytes(longValue);
    Dhcpv4Message read =
        decode(
            message(
                    Map.of(
                        Dhcpv4Message.MESSAGE_TYPE, new byte[] {2}, 43, longValue, 80, new byte[0]))
                .encode());
    assertEquals(Dhcpv4Message.OFFER, read.type());
    assertEquals(77, read.xid());
    assertEquals(MAC, read.mac());
    assertEquals(InetAddresses.parse("10.1.0.5"), read.yourAddress());
    assertArrayEquals(longValue, read.options().get(43), "split into three options (RFC 3396)");
    assertTrue(read.options().containsKey(80));
  }

  @Test
  void readsOptionsOverloadedIntoSnameAndFile() {
    byte[] bytes =
        message(Map.of(Dhcpv4Message.MESSAGE_TYPE, new byte[] {5}, 52, new byte[] {3})).encode();
    byte[] file = {1, 4, -1, -1, -1, 0, (byte) 255};
    byte[] name = {3, 4, 10, 1, 0, 1, (byte) 255};
    System.arraycopy(file, 0, bytes, 108, file.length);
    System.arraycopy(name, 0, bytes, 44, name.length);
    Dhcpv4Message read = decode(bytes);
    assertEquals(List.of(InetAddresses.parse("255.255.255.0")), read.addresses(1));
    assertEquals(List.of(InetAddresses.parse("10.1.0.1")), read.addresses(3));
  }

  private static List<String> routes(Map<Integer, byte[]> options) {
    return Dhcpv4Routes.of(message(options)).stream().map(DhcpMessageTest::describe).toList();
  }

  private static String describe(Result.Route route) {
    return route.destination()
        + route.gateway().map(it -> " via " + InetAddresses.format(it)).orElse("");
  }

  @Test
  void classlessRoutesOverrideClassfulRoutesAndRouter() {
    byte[] router = {10, 1, 0, 1};
    byte[] classful = {(byte) 172, 16, 0, 0, 10, 1, 0, 2};
    byte[] classless = HexFormat.of().parseHex("190a090080" + "0a010003" + "00" + "0a010004");
    assertEquals(
        List.of("172.16.0.0/16 via 10.1.0.2", "0.0.0.0/0 via 10.1.0.1"),
        routes(Map.of(3, router, 33, classful)));
    assertEquals(
        List.of("10.9.0.128/25 via 10.1.0.3", "0.0.0.0/0 via 10.1.0.4"),
        routes(Map.of(3, router, 33, classful, 121, classless)));
    byte[] truncated = HexFormat.of().parseHex("190a0900800a01");
    assertEquals(List.of("0.0.0.0/0 via 10.1.0.1"), routes(Map.of(3, router, 121, truncated)));
  }

  @Test
  void udpDatagramRoundTrips() {
    byte[] payload = {1, 2, 3};
    byte[] bytes =
        UdpDatagram.encode(
            Dhcpv4Message.UNSPECIFIED, 68, InetAddresses.parse("255.255.255.255"), 67, payload);
    UdpDatagram read = UdpDatagram.decode(bytes).orElseThrow();
    byte[] back = new byte[3];
    read.payload().get(back);
    assertArrayEquals(payload, back);
    bytes[8] ^= 1;
    assertFalse(UdpDatagram.decode(bytes).isPresent(), "the header's checksum is wrong");
  }

  @Test
  void dhcpv6MessageRoundTrips() {
    var inner = new Dhcpv6Message.Option(Dhcpv6Message.IA_ADDRESS, new byte[24]);
    var association = Dhcpv6Message.Option.of(Dhcpv6Message.IA_NA, new byte[12], List.of(inner));
    byte[] bytes = new Dhcpv6Message(Dhcpv6Message.REPLY, -1, List.of(association)).encode();
    Dhcpv6Message read = Dhcpv6Message.decode(ByteBuffer.wrap(bytes)).orElseThrow();
    assertEquals(Dhcpv6Message.REPLY, read.type());
    assertEquals(0xffffff, read.xid());
    assertEquals(1, read.find(Dhcpv6Message.IA_NA).orElseThrow().inner(12).size());
    assertEquals(0, Dhcpv6Message.status(read.options()));
  }

  /** Decoding never throws. */
  @Test
  void corruptMessagesAreReadOrIgnored() {
    var random = new Random(9);
    byte[] good =
        message(Map.of(53, new byte[] {5}, 121, new byte[30], 52, new byte[] {3})).encode();
    for (int i = 0; i < 20_000; i++) {
      byte[] bytes = good.clone();
      for (int change = 0; change < 8; change++) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
      }
      byte[] cut = Arrays.copyOf(bytes, random.nextInt(bytes.length));
      for (byte[] it : List.of(bytes, cut)) {
        Dhcpv4Message.decode(ByteBuffer.wrap(it)).ifPresent(Dhcpv4Routes::of);
        Dhcpv6Message.decode(ByteBuffer.wrap(it))
            .ifPresent(message -> message.options().forEach(option -> option.inner(12)));
        UdpDatagram.decode(it);
      }
    }
  }

  @Test
  void invalidTimersAreReplacedByDefaults() {
    requireTimes(40, 70, Binding.of(Result.EMPTY, "", 0, 0, 80));
    requireTimes(40, 70, Binding.of(Result.EMPTY, "", 0, 90, 80));
    requireTimes(10, 20, Binding.of(Result.EMPTY, "", 10, 20, 80));
    requireTimes(10, 70, Binding.of(Result.EMPTY, "", 10, 0, 80));
    requireTimes(20, 20, Binding.of(Result.EMPTY, "", 30, 20, 80));
    assertTrue(Binding.none().isEnded());
  }

  private static void requireTimes(long renew, long rebind, Binding binding) {
    assertEquals(Duration.ofSeconds(renew), binding.renewAfter());
    assertEquals(Duration.ofSeconds(rebind), binding.rebindAfter());
    assertEquals(Duration.ofSeconds(80), binding.validFor());
  }
}
