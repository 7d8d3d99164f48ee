// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.packet;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.net.InetAddress;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ArpPacketTest {
  /** Ethernet, IPv4, lengths 6 and 4, request, the sender's and the target's addresses. */
  private static final String REQUEST =
      "0001 0800 06 04 0001 c21122334455 0a320002 000000000000 0a320003";

  private static byte[] bytes(String hex) {
    return HexFormat.of().parseHex(hex.replace(" ", ""));
  }

  private static Optional<ArpPacket> parse(String hex) {
    return ArpPacket.parse(bytes(hex));
  }

  private static void assertRefused(String part, String hostile) {
    String hex = REQUEST.replaceFirst(part, hostile);
    assertEquals(Optional.empty(), parse(hex), hex);
  }

  @Test
  void requestIsParsed() throws Exception {
    var expected =
        new ArpPacket(
            ArpPacket.REQUEST,
            "c2:11:22:33:44:55",
            InetAddress.getByName("10.50.0.2"),
            InetAddress.getByName("10.50.0.3"));
    assertEquals(Optional.of(expected), parse(REQUEST));
  }

  @Test
  void replyWithPaddingIsParsed() {
    String reply = REQUEST.replaceFirst("04 0001", "04 0002");
    assertEquals(ArpPacket.REPLY, parse(reply + "00".repeat(18)).orElseThrow().operation());
  }

  @Test
  void truncatedPacketsAreRefused() {
    byte[] whole = bytes(REQUEST);
    for (int length = 0; length < whole.length; length++) {
      byte[] truncated = Arrays.copyOf(whole, length);
      assertEquals(Optional.empty(), ArpPacket.parse(truncated), "length " + length);
    }
  }

  @Test
  void packetsOfOtherNetworksAreRefused() {
    assertRefused("^0001", "0020"); // InfiniBand
    assertRefused("0800", "86dd");
    assertRefused("06 04", "14 04");
    assertRefused("06 04", "06 10");
    assertRefused("06 04", "ff ff");
  }

  @Test
  void operationsOfOtherProtocolsAreRefused() {
    assertRefused("04 0001", "04 0000");
    assertRefused("04 0001", "04 0003"); // RARP
    assertRefused("04 0001", "04 ffff");
  }

  @Test
  void hardwareAddressesThatNoStationHasAreRefused() {
    assertRefused("c21122334455", "000000000000");
    assertRefused("c21122334455", "ffffffffffff");
    assertRefused("c21122334455", "01005e000001");
  }

  /** Whatever the bytes are, the sender of a packet that is accepted is a station. */
  @Test
  void randomPacketsAreParsedOrRefused() {
    Random random = new Random(826);
    byte[] packet = new byte[64];
    for (int i = 0; i < 10_000; i++) {
      random.nextBytes(packet);
      byte[] header = bytes("0001 0800 06 04 0001");
      System.arraycopy(header, 0, packet, 0, random.nextInt(header.length + 1));
      byte[] cut = Arrays.copyOf(packet, random.nextInt(packet.length));
      ArpPacket.parse(cut)
          .ifPresent(
              it -> {
                assertEquals(17, it.senderMac().length());
                assertEquals(0, Integer.parseInt(it.senderMac().substring(0, 2), 16) & 1);
              });
    }
  }
}
