// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static cni.plugins.ipam.dhcp.GobType.field;
import static cni.plugins.ipam.dhcp.GobType.struct;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.api.Dns;
import cni.api.InetAddresses;
import cni.api.Result;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.Test;

class GobTest {
  /** The example in the documentation of encoding/gob: Point{22, 33}. */
  private static final String POINT =
      "1fff8103010105506f696e7401ff82000102010158010400010159010400000007ff82012c014200";

  private static final GobType.Struct TYPE =
      struct("Point", field("X", GobType.Basic.INT), field("Y", GobType.Basic.INT));

  @Test
  void encodesAndDecodesTheExampleOfTheGoDocumentation() throws IOException {
    var out = new ByteArrayOutputStream();
    new GobWriter(out).write(TYPE, Map.of("X", 22L, "Y", 33L));
    assertEquals(POINT, HexFormat.of().formatHex(out.toByteArray()));
    var reader = new GobReader(new ByteArrayInputStream(HexFormat.of().parseHex(POINT)));
    assertEquals(Map.of("X", 22L, "Y", 33L), reader.read());
  }

  @Test
  void roundTripsIntegersOfEveryLength() throws IOException {
    long[] numbers = {1, -1, 63, -64, 64, 127, 128, -129, 1L << 31, Long.MAX_VALUE, Long.MIN_VALUE};
    var out = new ByteArrayOutputStream();
    var writer = new GobWriter(out);
    for (long number : numbers) {
      writer.write(TYPE, Map.of("X", number));
    }
    var reader = new GobReader(new ByteArrayInputStream(out.toByteArray()));
    for (long number : numbers) {
      assertEquals(Map.of("X", number), reader.read());
    }
    assertThrows(IOException.class, reader::read);
  }

  @Test
  void roundTripsResults() throws IOException {
    var result =
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
                    Cidr.parse("0.0.0.0/0"), Optional.of(InetAddresses.parse("10.1.0.1"))),
                new Result.Route(
                    Cidr.parse("10.9.0.0/17"),
                    Optional.empty(),
                    0,
                    0,
                    77,
                    OptionalLong.empty(),
                    OptionalInt.of(253))),
            new Dns(List.of("10.1.0.2"), "example.org", List.of("a", "b"), List.of()));
    var out = new ByteArrayOutputStream();
    new GobWriter(out).write(GobSchema.RESULT, GobResult.write(result));
    var reader = new GobReader(new ByteArrayInputStream(out.toByteArray()));
    assertEquals(result, GobResult.read(reader.read()));
  }

  /** The reader returns a value or throws an IOException, nothing else. */
  @Test
  void corruptInputIsReadOrRefusedWithIoException() {
    var random = new Random(5);
    byte[] good = HexFormat.of().parseHex(POINT);
    int refused = 0;
    for (int i = 0; i < 20_000; i++) {
      byte[] bytes = good.clone();
      for (int change = random.nextInt(4); change >= 0; change--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
      }
      try {
        new GobReader(new ByteArrayInputStream(bytes)).read();
      } catch (IOException e) {
        refused++;
      }
    }
    assertTrue(refused > 10_000, "most inputs are invalid");
  }
}
