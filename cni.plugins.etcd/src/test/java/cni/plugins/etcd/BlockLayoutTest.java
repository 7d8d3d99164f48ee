// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.PluginConfig;
import java.math.BigInteger;
import java.net.InetAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

class BlockLayoutTest {
  private static final int EXCLUSIONS = 10_000;

  private static EtcdConfig config(String ranges, int blockSize, List<String> excluded)
      throws CniException {
    ObjectNode json =
        Json.parse(
            """
            {"cniVersion":"1.1.0","name":"n","type":"bridge","ipam":{"type":"etcd","node":"a",
             "endpoints":["http://127.0.0.1:1"],"blockSize":%d,"ranges":[[%s]]}}
            """
                .formatted(blockSize, ranges),
            "test");
    ArrayNode exclude = ((ObjectNode) json.get("ipam")).putArray("exclude");
    excluded.forEach(exclude::add);
    return EtcdConfig.parse(PluginConfig.of(new ConfigObject(json, "")));
  }

  private static BlockLayout layout(String ranges, int blockSize, List<String> excluded)
      throws CniException {
    EtcdConfig config = config(ranges, blockSize, excluded);
    return config.layout(config.ranges().sets().getFirst());
  }

  private static InetAddress address(int offset) {
    BigInteger base = InetAddresses.toNumber(InetAddresses.parse("10.1.0.0"));
    return InetAddresses.fromNumber(base.add(BigInteger.valueOf(offset)), 32);
  }

  @Test
  void tenThousandExclusionsCostLittle() {
    List<String> excluded =
        IntStream.range(0, EXCLUSIONS).mapToObj(it -> text(2 * it + 2)).toList();
    assertTimeout(
        Duration.ofSeconds(2),
        () -> {
          BlockLayout layout = layout("{\"subnet\":\"10.1.0.0/16\"}", 20, excluded);
          assertEquals(BigInteger.valueOf(65_534 - 1 - EXCLUSIONS), layout.capacity());
          var random = new Random(1);
          Set<BlockId> full = new HashSet<>();
          for (int i = 0; i < 16; i++) {
            BlockId block = layout.find(random, 0, it -> !full.contains(it)).orElseThrow();
            assertTrue(layout.usable(block).bitCount() >= 2047);
            full.add(block);
          }
          assertTrue(layout.find(random, 0, it -> !full.contains(it)).isEmpty());
        });
  }

  private static String text(int offset) {
    return InetAddresses.format(address(offset));
  }

  @Test
  void overlappingExclusionsCountOnce() throws Exception {
    List<String> excluded = List.of("10.1.0.0/24", "10.1.0.128/25", "10.1.0.200", "10.1.1.0");
    BlockLayout layout = layout("{\"subnet\":\"10.1.0.0/16\"}", 26, excluded);
    assertEquals(BigInteger.valueOf(65_534 - 256), layout.capacity());
  }

  @Test
  void blockOfManyPartsIsFoundAsOftenAsAnother() throws Exception {
    List<String> excluded = IntStream.range(1, 32).mapToObj(it -> text(2 * it)).toList();
    BlockLayout layout =
        layout(
            "{\"subnet\":\"10.1.0.0/24\",\"rangeEnd\":\"10.1.0.40\"},"
                + "{\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"10.1.0.41\",\"rangeEnd\":\"10.1.0.127\"}",
            26,
            excluded);
    Map<BlockId, Integer> found = new HashMap<>();
    var random = new Random(1);
    for (int i = 0; i < 1000; i++) {
      found.merge(layout.find(random, 0, _ -> true).orElseThrow(), 1, Integer::sum);
    }
    assertEquals(2, found.size());
    found.values().forEach(it -> assertTrue(it > 400, found::toString));
  }

  @Test
  void searchesSpreadAlsoBeyondTheFirstBlocks() throws Exception {
    BlockLayout layout = layout("{\"subnet\":\"fd00::/64\"}", 26, List.of());
    var random = new Random(1);
    Set<BlockId> claimed = new HashSet<>();
    for (int i = 0; i < 5000; i++) {
      claimed.add(layout.find(random, i, it -> !claimed.contains(it)).orElseThrow());
    }
    Set<BlockId> found = new HashSet<>();
    for (int i = 0; i < 100; i++) {
      found.add(layout.find(random, 5000, it -> !claimed.contains(it)).orElseThrow());
    }
    assertTrue(found.size() > 60, () -> found.size() + " of 100 nodes found different blocks");
    for (BlockId it : claimed) {
      BigInteger index = InetAddresses.toNumber(it.network().address()).shiftRight(6);
      assertTrue(index.and(BigInteger.valueOf(0xffff_ffffL)).intValue() < 12_000, it::toString);
    }
  }

  @Test
  void usableAddressesAreThoseOfEachBlock() throws Exception {
    for (int seed = 0; seed < 20; seed++) {
      var random = new Random(seed);
      List<String> excluded = new ArrayList<>();
      for (int i = 0; i < 30; i++) {
        String prefix = random.nextBoolean() ? "" : "/" + random.nextInt(25, 33);
        excluded.add(text(random.nextInt(1024)) + prefix);
      }
      BlockLayout layout =
          layout(
              "{\"subnet\":\"10.1.2.0/23\",\"gateway\":\"10.1.3.7\"},"
                  + "{\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"10.1.0.77\"}",
              27,
              excluded);
      BigInteger capacity = BigInteger.ZERO;
      Set<BlockId> usable = new HashSet<>();
      for (int i = 0; i < 1024; i += 32) {
        BlockId block = BlockId.of(address(i), 27);
        BigInteger bits = layout.usable(block);
        for (int j = 0; j < 32; j++) {
          assertEquals(layout.isUsable(block.addressAt(j)), bits.testBit(j));
        }
        if (bits.signum() != 0) {
          usable.add(block);
        }
        capacity = capacity.add(BigInteger.valueOf(bits.bitCount()));
      }
      assertEquals(layout.capacity(), capacity);
      assertFalse(layout.isUsable(InetAddresses.parse("10.1.3.7")));
      assertFalse(layout.isUsable(InetAddresses.parse("::10.1.2.9")));
      assertEquals(usable, all(layout));
    }
  }

  /** Returns all blocks that a search finds. */
  private static Set<BlockId> all(BlockLayout layout) {
    Set<BlockId> found = new HashSet<>();
    while (true) {
      var next = layout.find(new Random(1), 0, it -> !found.contains(it));
      if (next.isEmpty()) {
        return found;
      }
      found.add(next.get());
    }
  }
}
