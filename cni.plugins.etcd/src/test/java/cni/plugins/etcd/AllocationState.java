// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Json;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The keys of the plugin at one revision, and what must hold for them at every revision. This is
 * written from the description of the schema alone and shares no code with the plugin.
 */
final class AllocationState {
  /** The collections of keys that say nothing about addresses. */
  private static final Set<String> IGNORED =
      Set.of("schema", "nodes", "alive", "networks", "reaper");

  /** The directory of a block, under which its key is. */
  private record BlockId(String network, String node, String block) {
    @Override
    public String toString() {
      return network + "/" + node + "/" + block;
    }
  }

  private record Claim(String network, String block, AddressBlock range, String node) {}

  private record Block(BlockId id, AddressBlock range, BigInteger used) {}

  /**
   * An address of a handle or of a sticky entry.
   *
   * @param block the block that it is reserved in
   */
  private record HeldAddress(InetAddress address, BlockId block) {}

  private record Holder(String network, List<HeldAddress> addresses) {}

  private final String prefix;
  private final SortedMap<String, Claim> claims = new TreeMap<>();
  private final SortedMap<String, Block> blocks = new TreeMap<>();
  private final SortedMap<String, Holder> holders = new TreeMap<>();
  private final SortedMap<String, String> malformed = new TreeMap<>();

  /** The keys of the holders with an address in a block, and with an address of a network. */
  private final Map<Object, Set<String>> holderKeys = new HashMap<>();

  /** The blocks that the changes since {@link #newViolations} concern. */
  private final Set<BlockId> changed = new HashSet<>();

  private boolean hasChangedClaims;

  /**
   * Creates the state of a store without keys.
   *
   * @param prefix the prefix of all keys of the plugin, with or without a slash at its end
   */
  AllocationState(String prefix) {
    this.prefix = prefix.endsWith("/") ? prefix : prefix + "/";
  }

  /** Returns a key without the prefix; null if it is not a key of the plugin. */
  @Nullable String relativeKey(String key) {
    return key.startsWith(prefix) ? key.substring(prefix.length()) : null;
  }

  /** Applies a change to the state. Keys outside the prefix are ignored. */
  void apply(HistorySource.Event event) {
    String key = relativeKey(event.key());
    if (key == null) {
      return;
    }
    noteChange(key, false);
    List.of(claims, blocks, holders, malformed).forEach(map -> map.remove(key));
    if (event.value() != null) {
      try {
        put(key, event.value());
      } catch (CniException | IllegalArgumentException e) {
        malformed.put(key, "%s = %s: %s".formatted(key, event.value(), e.getMessage()));
      }
    }
    noteChange(key, true);
  }

  /** An address of a network, as a key of {@link #holderKeys}. */
  private record NetworkAddress(String network, InetAddress address) {}

  /**
   * Notes which blocks the value of a key concerns.
   *
   * @param isPresent whether the value is the new one; otherwise it is about to be removed
   */
  private void noteChange(String key, boolean isPresent) {
    Claim claim = claims.get(key);
    if (claim != null) {
      hasChangedClaims = true;
      changed.add(new BlockId(claim.network(), claim.node(), claim.block()));
    }
    Block block = blocks.get(key);
    if (block != null) {
      changed.add(block.id());
    }
    Holder holder = holders.get(key);
    if (holder != null) {
      for (HeldAddress held : holder.addresses()) {
        changed.add(held.block());
        noteHolder(held.block(), key, isPresent);
        noteHolder(new NetworkAddress(holder.network(), held.address()), key, isPresent);
      }
    }
  }

  private void noteHolder(Object held, String key, boolean isPresent) {
    Set<String> keys = holderKeys.computeIfAbsent(held, it -> new TreeSet<>());
    if (isPresent) {
      keys.add(key);
    } else {
      keys.remove(key);
    }
  }

  private void put(String key, String value) throws CniException {
    String[] path = key.split("/", -1);
    if (IGNORED.contains(path[0])) {
      return;
    }
    ObjectNode json = Json.parse(value, key);
    // The name of kept addresses may contain slashes.
    int parts = path[0].equals("sticky") ? Math.min(path.length, 3) : path.length;
    switch (path[0] + parts) {
      case "claims3" ->
          claims.put(
              key, new Claim(path[1], path[2], AddressBlock.parse(path[2]), text(json, "node")));
      case "blocks4" -> {
        var used = new BigInteger(text(json, "used"), 16);
        var id = new BlockId(path[1], path[2], path[3]);
        blocks.put(key, new Block(id, AddressBlock.parse(path[3]), used));
      }
      case "handles5", "sticky3" -> holders.put(key, holder(path[1], json));
      default -> throw new IllegalArgumentException("the schema has no such key");
    }
  }

  private static Holder holder(String network, ObjectNode json) {
    List<HeldAddress> addresses = new ArrayList<>();
    for (JsonNode entry : json.path("addresses")) {
      var block = new BlockId(network, text(entry, "owner"), text(entry, "block"));
      AddressBlock.parse(block.block());
      addresses.add(new HeldAddress(InetAddress.ofLiteral(text(entry, "address")), block));
    }
    if (addresses.isEmpty()) {
      throw new IllegalArgumentException("it has no addresses");
    }
    return new Holder(network, addresses);
  }

  private static String text(JsonNode json, String name) {
    JsonNode value = json.path(name);
    if (!value.isString()) {
      throw new IllegalArgumentException("it has no text \"" + name + "\"");
    }
    return value.asString();
  }

  /**
   * Returns the addresses of a handle, sorted as text; null if there is no such handle.
   *
   * @param handle NETWORK/NODE/CONTAINER/IFNAME
   */
  @Nullable List<String> handle(String handle) {
    Holder holder = holders.get("handles/" + handle);
    return holder == null
        ? null
        : holder.addresses().stream()
            .map(held -> held.address().getHostAddress())
            .sorted()
            .toList();
  }

  /**
   * Returns what is wrong with the blocks that have changed since the last call and with what is
   * held in them: all of {@link #violations} that were not before. It takes a time that does not
   * depend on the number of blocks, unless blocks were claimed.
   */
  Set<String> newViolations() {
    Set<String> found = changedPart().violations();
    found.addAll(malformed.values());
    if (hasChangedClaims) {
      checkAllOverlaps(found);
    }
    changed.clear();
    hasChangedClaims = false;
    return found;
  }

  private AllocationState changedPart() {
    Set<BlockId> ids = new HashSet<>();
    for (BlockId id : changed) {
      ids.add(id);
      Claim claim = claims.get("claims/" + id.network() + "/" + id.block());
      if (claim != null) {
        ids.add(new BlockId(id.network(), claim.node(), id.block()));
      }
      for (HeldAddress held : heldIn(id)) {
        for (String key :
            holderKeys.getOrDefault(new NetworkAddress(id.network(), held.address()), Set.of())) {
          holder(key).addresses().stream()
              .filter(it -> it.address().equals(held.address()))
              .forEach(it -> ids.add(it.block()));
        }
      }
    }
    var part = new AllocationState(prefix);
    for (BlockId id : ids) {
      String claim = "claims/" + id.network() + "/" + id.block();
      copy(claim, claims, part.claims);
      copy("blocks/" + id, blocks, part.blocks);
      for (String key : holderKeys.getOrDefault(id, Set.of())) {
        List<HeldAddress> held =
            holder(key).addresses().stream().filter(it -> ids.contains(it.block())).toList();
        part.holders.put(key, new Holder(id.network(), held));
      }
    }
    return part;
  }

  private static <V> void copy(String key, Map<String, V> from, Map<String, V> to) {
    V value = from.get(key);
    if (value != null) {
      to.put(key, value);
    }
  }

  private Holder holder(String key) {
    return Objects.requireNonNull(holders.get(key), key);
  }

  private List<HeldAddress> heldIn(BlockId id) {
    return holderKeys.getOrDefault(id, Set.of()).stream()
        .flatMap(key -> holder(key).addresses().stream())
        .filter(it -> it.block().equals(id))
        .toList();
  }

  /** Returns what is wrong with this state. The text of a violation does not change with others. */
  Set<String> violations() {
    Set<String> found = new TreeSet<>(malformed.values());
    checkExclusiveAddresses(found);
    checkClaims(found);
    checkBlocks(found);
    return found;
  }

  /** Checks that no address of a network is held twice. */
  private void checkExclusiveAddresses(Set<String> found) {
    Map<String, Map<InetAddress, String>> holdersByAddress = new HashMap<>();
    holders.forEach(
        (key, holder) -> {
          Map<InetAddress, String> addresses =
              holdersByAddress.computeIfAbsent(holder.network(), it -> new HashMap<>());
          for (HeldAddress held : holder.addresses()) {
            String other = addresses.put(held.address(), key);
            if (other != null) {
              found.add(
                  "%s is held by %s and by %s"
                      .formatted(held.address().getHostAddress(), other, key));
            }
          }
        });
  }

  /** Checks that blocks and claims correspond and that claims do not overlap. */
  private void checkClaims(Set<String> found) {
    for (Block block : blocks.values()) {
      Claim claim = claims.get("claims/" + block.id().network() + "/" + block.id().block());
      if (claim == null) {
        found.add("block " + block.id() + " has no claim");
      } else if (!claim.node().equals(block.id().node())) {
        found.add("block %s is claimed by %s".formatted(block.id(), claim.node()));
      }
    }
    claims.forEach(
        (key, claim) -> {
          var id = new BlockId(claim.network(), claim.node(), claim.block());
          if (!blocks.containsKey("blocks/" + id)) {
            found.add("%s of %s has no block".formatted(key, claim.node()));
          }
        });
    checkAllOverlaps(found);
  }

  private void checkAllOverlaps(Set<String> found) {
    claims.values().stream()
        .collect(Collectors.groupingBy(Claim::network))
        .values()
        .forEach(ofNetwork -> checkOverlaps(ofNetwork, found));
  }

  /** Compares each claim with the one that reaches farthest among those that start before it. */
  private static void checkOverlaps(List<Claim> claims, Set<String> found) {
    List<Claim> sorted =
        claims.stream()
            .sorted(
                Comparator.comparingInt((Claim it) -> it.range().first().getAddress().length)
                    .thenComparing(it -> it.range().start())
                    .thenComparing(Claim::block))
            .toList();
    Claim widest = null;
    for (Claim claim : sorted) {
      if (widest != null && widest.range().overlaps(claim.range())) {
        found.add(
            "the claims %s of %s and %s of %s overlap in %s"
                .formatted(
                    widest.block(), widest.node(), claim.block(), claim.node(), claim.network()));
      }
      if (widest == null
          || !widest.range().overlaps(claim.range())
          || claim.range().end().compareTo(widest.range().end()) > 0) {
        widest = claim;
      }
    }
  }

  /** Checks that the used bits of blocks are the addresses that are held. */
  private void checkBlocks(Set<String> found) {
    Map<BlockId, BigInteger> held = heldBits(found);
    for (Block block : blocks.values()) {
      BigInteger used = block.used();
      if (used.signum() == 0) {
        found.add("block " + block.id() + " has no used address");
      }
      if (used.signum() < 0 || used.bitLength() > block.range().size()) {
        found.add("block %s has used bits outside: %x".formatted(block.id(), used));
        continue;
      }
      BigInteger expected = held.getOrDefault(block.id(), BigInteger.ZERO);
      BigInteger difference = used.xor(expected);
      for (int bit = 0; bit < difference.bitLength(); bit++) {
        if (difference.testBit(bit)) {
          found.add(
              "%s of block %s is %s"
                  .formatted(
                      block.range().address(bit),
                      block.id(),
                      used.testBit(bit) ? "used and not held" : "held and not used"));
        }
      }
    }
  }

  /** Returns the bits that the used bits of each block must be, from all handles. */
  private Map<BlockId, BigInteger> heldBits(Set<String> found) {
    Map<BlockId, BigInteger> bits = new HashMap<>();
    holders.forEach(
        (key, holder) -> {
          for (HeldAddress held : holder.addresses()) {
            int index = AddressBlock.parse(held.block().block()).indexOf(held.address());
            if (index < 0) {
              found.add(
                  "%s of %s is outside its block %s"
                      .formatted(held.address().getHostAddress(), key, held.block().block()));
              continue;
            }
            if (!blocks.containsKey("blocks/" + held.block())) {
              found.add(
                  "%s of %s is in block %s, which does not exist"
                      .formatted(held.address().getHostAddress(), key, held.block()));
            }
            bits.merge(held.block(), BigInteger.ZERO.setBit(index), BigInteger::or);
          }
        });
    return bits;
  }
}
