package cni.plugins.ipam.dhcp;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Ip;
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

/** Messages of both protocols: what goes out, what comes in, and what only looks like it. */
class MessagesTest {
  private static final String MAC = "02:11:22:33:44:55";

  private static Message4 message(Map<Integer, byte[]> options) {
    return new Message4(
        true, 77, 3, false, Message4.NONE, Ip.parse("10.1.0.5"), MAC, new LinkedHashMap<>(options));
  }

  private static Message4 decode(byte[] bytes) {
    return Message4.decode(ByteBuffer.wrap(bytes)).orElseThrow();
  }

  @Test
  void aMessageIsReadAsItWasWritten() {
    byte[] longValue = new byte[600];
    new Random(1).nextBytes(longValue);
    Message4 read =
        decode(
            message(Map.of(Message4.TYPE, new byte[] {2}, 43, longValue, 80, new byte[0]))
                .encode());
    assertEquals(Message4.OFFER, read.type());
    assertEquals(77, read.xid());
    assertEquals(MAC, read.mac());
    assertEquals(Ip.parse("10.1.0.5"), read.yours());
    assertArrayEquals(longValue, read.options().get(43), "in three parts, RFC 3396");
    assertTrue(read.options().containsKey(80));
  }

  @Test
  void optionsGoOnInTheFieldsForNames() {
    byte[] bytes = message(Map.of(Message4.TYPE, new byte[] {5}, 52, new byte[] {3})).encode();
    byte[] file = {1, 4, -1, -1, -1, 0, (byte) 255};
    byte[] name = {3, 4, 10, 1, 0, 1, (byte) 255};
    System.arraycopy(file, 0, bytes, 108, file.length);
    System.arraycopy(name, 0, bytes, 44, name.length);
    Message4 read = decode(bytes);
    assertEquals(List.of(Ip.parse("255.255.255.0")), read.addresses(1));
    assertEquals(List.of(Ip.parse("10.1.0.1")), read.addresses(3));
  }

  private static List<String> routes(Map<Integer, byte[]> options) {
    return Routes4.of(message(options)).stream().map(MessagesTest::told).toList();
  }

  private static String told(Result.Route route) {
    return route.destination() + route.gateway().map(it -> " via " + Ip.format(it)).orElse("");
  }

  @Test
  void routes() {
    byte[] router = {10, 1, 0, 1};
    byte[] classful = {(byte) 172, 16, 0, 0, 10, 1, 0, 2};
    byte[] classless = HexFormat.of().parseHex("190a090080" + "0a010003" + "00" + "0a010004");
    assertEquals(
        List.of("172.16.0.0/16 via 10.1.0.2", "0.0.0.0/0 via 10.1.0.1"),
        routes(Map.of(3, router, 33, classful)));
    assertEquals(
        List.of("10.9.0.128/25 via 10.1.0.3", "0.0.0.0/0 via 10.1.0.4"),
        routes(Map.of(3, router, 33, classful, 121, classless)));
    byte[] cut = HexFormat.of().parseHex("190a0900800a01");
    assertEquals(List.of("0.0.0.0/0 via 10.1.0.1"), routes(Map.of(3, router, 121, cut)));
  }

  @Test
  void datagrams() {
    byte[] payload = {1, 2, 3};
    byte[] bytes = Datagram.encode(Message4.NONE, 68, Ip.parse("255.255.255.255"), 67, payload);
    Datagram read = Datagram.decode(bytes).orElseThrow();
    byte[] back = new byte[3];
    read.payload().get(back);
    assertArrayEquals(payload, back);
    bytes[8] ^= 1;
    assertFalse(Datagram.decode(bytes).isPresent(), "the header's checksum is wrong");
  }

  @Test
  void messagesOfDhcp6() {
    var inner = new Message6.Option(Message6.IA_ADDRESS, new byte[24]);
    var association = Message6.Option.of(Message6.IA_NA, new byte[12], List.of(inner));
    byte[] bytes = new Message6(Message6.REPLY, -1, List.of(association)).encode();
    Message6 read = Message6.decode(ByteBuffer.wrap(bytes)).orElseThrow();
    assertEquals(Message6.REPLY, read.type());
    assertEquals(0xffffff, read.xid());
    assertEquals(1, read.find(Message6.IA_NA).orElseThrow().inner(12).size());
    assertEquals(0, Message6.status(read.options()));
  }

  /** Whatever comes, it is read as something or passed over. */
  @Test
  void hostileBytes() {
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
        Message4.decode(ByteBuffer.wrap(it)).ifPresent(Routes4::of);
        Message6.decode(ByteBuffer.wrap(it))
            .ifPresent(message -> message.options().forEach(option -> option.inner(12)));
        Datagram.decode(it);
      }
    }
  }

  @Test
  void timesThatMakeNoSenseAreReplaced() {
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
