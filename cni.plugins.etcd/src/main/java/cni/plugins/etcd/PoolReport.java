// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AddressReport;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.InetAddresses;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.ipam.range.RangeSet;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * Lists a network's addresses for an operator. Its parts are read one after the other: while
 * addresses are assigned they may differ by what has happened in between.
 */
final class PoolReport {
  private final EtcdStore store;
  private final EtcdConfig config;
  private final Deadline deadline;
  private final List<String> problems = new ArrayList<>();

  PoolReport(EtcdStore store, EtcdConfig config, Deadline deadline) {
    this.store = store;
    this.config = config;
    this.deadline = deadline;
  }

  /**
   * Reads the store.
   *
   * @throws CniException as EtcdClient throws; code 6 or 2 if a value is invalid
   */
  AddressReport read() throws CniException {
    readState();
    List<Handle> handles = store.readHandles(store.keys().handles(store.network()), deadline);
    List<KeptAddresses> kept = store.readKept(deadline);
    List<Block> blocks = store.readAllBlocks(deadline);
    Map<InetAddress, String> holders = holders(handles, kept);
    reportLeaks(blocks, holders);
    reportLost(handles, kept, blocks);
    reportClaims(blocks);
    return new AddressReport(
        pools(holders.keySet()),
        blocks.stream().map(this::describe).toList(),
        nodes(),
        describe(handles, kept),
        problems);
  }

  private void readState() throws CniException {
    var view = new PoolView(store);
    view.load(deadline);
    view.requireUsable(config.blockSizes());
    Optional<StoreSchema> schema = view.schema();
    if (schema.isPresent() && schema.get().restored().isPresent()) {
      try {
        schema.get().requireNotRestored(store.network());
      } catch (CniException e) {
        problems.add(e.getMessage());
      }
    }
  }

  /** Returns who holds each address. Two holders cannot be, and are a problem. */
  private Map<InetAddress, String> holders(List<Handle> handles, List<KeptAddresses> kept) {
    Map<InetAddress, String> holders = new HashMap<>();
    for (Handle handle : handles) {
      for (ReservedAddress it : handle.addresses()) {
        add(
            it.address(),
            "container %s on node %s".formatted(handle.attachment().containerId(), handle.node()),
            holders);
      }
    }
    for (KeptAddresses names : kept) {
      names.addresses().forEach(it -> add(it.address(), "the name " + nameOf(names), holders));
    }
    return holders;
  }

  private void add(InetAddress address, String holder, Map<InetAddress, String> holders) {
    String other = holders.put(address, holder);
    if (other != null) {
      problems.add(
          "%s is held by %s and by %s".formatted(InetAddresses.format(address), other, holder));
    }
    if (!config.ranges().contains(address)) {
      problems.add(
          "%s of %s is in none of the ranges".formatted(InetAddresses.format(address), holder));
    }
  }

  private String nameOf(KeptAddresses kept) {
    return kept.key().substring(store.keys().stickies(store.network()).length());
  }

  /** Reports addresses that are reserved in a block but held by nothing. */
  private void reportLeaks(List<Block> blocks, Map<InetAddress, String> holders) {
    for (Block block : blocks) {
      for (int i = 0; i < block.id().size(); i++) {
        InetAddress address = block.id().addressAt(i);
        if (block.isUsed(i) && !holders.containsKey(address)) {
          problems.add(
              "%s is reserved in block %s of node %s, but nothing holds it"
                  .formatted(InetAddresses.format(address), block.id().network(), block.owner()));
        }
      }
    }
  }

  /** Reports addresses that are held but not reserved in a block: they could be assigned again. */
  private void reportLost(List<Handle> handles, List<KeptAddresses> kept, List<Block> blocks) {
    List<ReservedAddress> held = new ArrayList<>();
    handles.forEach(it -> held.addAll(it.addresses()));
    kept.forEach(it -> held.addAll(it.addresses()));
    for (ReservedAddress it : held) {
      boolean isReserved =
          blocks.stream()
              .filter(block -> block.id().equals(it.block()) && block.owner().equals(it.owner()))
              .anyMatch(block -> block.isUsed(it.offset()));
      if (!isReserved) {
        problems.add(
            "%s is held, but not reserved in block %s of node %s: delete and add its attachment"
                .formatted(InetAddresses.format(it.address()), it.block().network(), it.owner()));
      }
    }
  }

  private void reportClaims(List<Block> blocks) throws CniException {
    Set<String> claimed = new HashSet<>();
    blocks.forEach(it -> claimed.add(store.keys().claim(store.network(), it.id())));
    for (KeyValue it : store.list(store.keys().claims(store.network()), deadline).keys()) {
      if (!claimed.contains(it.key())) {
        problems.add(
            "%s is claimed, but there is no such block: delete the key".formatted(it.key()));
      }
    }
  }

  private List<AddressReport.Pool> pools(Set<InetAddress> held) {
    Map<RangeSet, Long> used = new HashMap<>();
    held.forEach(
        it -> config.ranges().index().find(it).ifPresent(set -> used.merge(set, 1L, Long::sum)));
    return config.ranges().sets().stream()
        .map(
            set ->
                new AddressReport.Pool(
                    set.toString(),
                    config.layout(set).capacity(),
                    BigInteger.valueOf(used.getOrDefault(set, 0L))))
        .toList();
  }

  private AddressReport.Block describe(Block block) {
    BigInteger usable = BigInteger.ZERO;
    for (RangeSet set : config.ranges().sets()) {
      usable = usable.or(config.layout(set).usable(block.id()));
    }
    return new AddressReport.Block(
        block.id().network(), block.owner(), usable.bitCount(), block.used().bitCount());
  }

  private List<AddressReport.Node> nodes() throws CniException {
    Set<String> alive = new HashSet<>();
    String prefix = store.keys().allAlive();
    for (KeyValue it : store.list(prefix, deadline).keys()) {
      alive.add(it.key().substring(prefix.length()).split("/", 2)[0]);
    }
    Map<String, AddressReport.Node> nodes = new TreeMap<>();
    String all = store.keys().nodes();
    for (KeyValue it : store.list(all, deadline).keys()) {
      String name = it.key().substring(all.length());
      nodes.put(
          name, new AddressReport.Node(name, liveness(NodeRecord.parse(it), alive.contains(name))));
    }
    return List.copyOf(nodes.values());
  }

  private static AddressReport.Liveness liveness(NodeRecord node, boolean isAlive) {
    if (isAlive) {
      return AddressReport.Liveness.ALIVE;
    }
    return node.hasHost() ? AddressReport.Liveness.LOST : AddressReport.Liveness.UNKNOWN;
  }

  private List<AddressReport.Holder> describe(List<Handle> handles, List<KeptAddresses> kept) {
    List<AddressReport.Holder> holders = new ArrayList<>();
    for (Handle it : handles) {
      holders.add(
          new AddressReport.Holder(
              Optional.of(it.attachment()),
              it.name(),
              Optional.of(it.node()),
              it.addressList(),
              Optional.of(it.since())));
    }
    for (KeptAddresses it : kept) {
      holders.add(
          new AddressReport.Holder(
              Optional.empty(),
              Optional.of(nameOf(it)),
              Optional.empty(),
              it.addresses().stream().map(ReservedAddress::address).toList(),
              Optional.of(it.since())));
    }
    return holders;
  }
}
