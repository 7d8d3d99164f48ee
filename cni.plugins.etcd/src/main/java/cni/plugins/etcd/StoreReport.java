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
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Lists a network's addresses for an operator, at one revision of etcd, and what is wrong with
 * them. Invalid values are among the latter.
 */
final class StoreReport {
  private final EtcdStore store;
  private final EtcdConfig config;
  private final Deadline deadline;
  private final List<String> problems = new ArrayList<>();

  StoreReport(EtcdStore store, EtcdConfig config, Deadline deadline) {
    this.store = store;
    this.config = config;
    this.deadline = deadline;
  }

  /**
   * Reads the store.
   *
   * @throws CniException as EtcdClient throws; code 6 or 2 if the schema is invalid
   */
  AddressReport read() throws CniException {
    readState();
    EtcdKeys keys = store.keys();
    String network = store.network();
    List<List<KeyValue>> stored =
        store.listTogether(
            List.of(
                keys.handles(network),
                keys.stickies(network),
                keys.blocks(network),
                keys.claims(network),
                keys.nodes()),
            deadline);
    List<Handle> handles = parse(stored.get(0), store::parseHandle);
    List<KeptAddresses> kept = parse(stored.get(1), KeptAddresses::parse);
    List<Block> blocks = parse(stored.get(2), store::parseBlock);
    Map<InetAddress, String> holders = holders(handles, kept);
    reportLeaks(blocks, holders);
    reportLost(handles, kept, blocks);
    reportClaims(stored.get(3), blocks);
    return new AddressReport(
        pools(holders.keySet()),
        blocks.stream().map(this::describe).toList(),
        nodes(stored.get(4)),
        describe(handles, kept),
        problems);
  }

  private interface Parser<T> {
    T parse(KeyValue stored) throws CniException;
  }

  /** Parses values; invalid ones are problems. */
  private <T> List<T> parse(List<KeyValue> stored, Parser<T> parser) {
    List<T> parsed = new ArrayList<>();
    for (KeyValue it : stored) {
      try {
        parsed.add(parser.parse(it));
      } catch (CniException e) {
        problems.add(e.getMessage());
      }
    }
    return parsed;
  }

  private void readState() throws CniException {
    var view = new StoreView(store);
    view.load(deadline);
    Optional<StoreSchema> schema = view.schema();
    if (schema.isPresent()) {
      check(() -> schema.get().requireNotRestored(store.network()));
    }
    check(() -> view.requireUsable(config.blockSizes()));
  }

  private interface Check {
    void run() throws CniException;
  }

  /** Runs a check; its failure is a problem. */
  private void check(Check check) {
    try {
      check.run();
    } catch (CniException e) {
      problems.add(e.getMessage());
    }
  }

  /** Returns who holds each address. A second holder of an address is a problem. */
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
      names
          .addresses()
          .forEach(it -> add(it.address(), "the name " + store.nameOf(names), holders));
    }
    return holders;
  }

  private void add(InetAddress address, String holder, Map<InetAddress, String> holders) {
    String other = holders.put(address, holder);
    if (other != null) {
      problems.add(
          "%s is held by %s and by %s: delete one of them"
              .formatted(InetAddresses.format(address), other, holder));
    }
    if (!config.ranges().contains(address)) {
      problems.add(
          "%s of %s is in none of the ranges: extend them, or delete it and add it again"
              .formatted(InetAddresses.format(address), holder));
    } else if (isGateway(address)) {
      problems.add(
          "%s of %s is the gateway of its range: recreate the container, or give another gateway"
              .formatted(InetAddresses.format(address), holder));
    }
  }

  /** Whether an address was imported, or its range has got another gateway since the ADD. */
  private boolean isGateway(InetAddress address) {
    return config
        .ranges()
        .index()
        .find(address)
        .flatMap(set -> set.rangeOf(address))
        .filter(range -> range.gateway().equals(address))
        .isPresent();
  }

  /** Reports addresses that are reserved in a block but held by nothing. */
  private void reportLeaks(List<Block> blocks, Map<InetAddress, String> holders) {
    for (Block block : blocks) {
      for (int i = 0; i < block.id().size(); i++) {
        InetAddress address = block.id().addressAt(i);
        if (block.isUsed(i) && !holders.containsKey(address)) {
          problems.add(
              "%s is reserved in block %s of node %s, but nothing holds it: run \"cni gc %s\" there,"
                      .formatted(
                          InetAddresses.format(address),
                          block.id().network(),
                          block.owner(),
                          store.network())
                  + " or release that node if it is gone");
        }
      }
    }
  }

  /** Reports addresses that are held but not reserved in a block: they could be assigned again. */
  private void reportLost(List<Handle> handles, List<KeptAddresses> kept, List<Block> blocks) {
    List<ReservedAddress> held = new ArrayList<>();
    handles.forEach(it -> held.addAll(it.addresses()));
    kept.forEach(it -> held.addAll(it.addresses()));
    Map<String, Block> byKey = new HashMap<>();
    blocks.forEach(it -> byKey.put(blockKey(it.id(), it.owner()), it));
    for (ReservedAddress it : held) {
      Block block = byKey.get(blockKey(it.block(), it.owner()));
      if (block == null || !block.isUsed(it.offset())) {
        problems.add(
            "%s is held, but not reserved in block %s of node %s: run \"cni repair\" for its attachment"
                .formatted(InetAddresses.format(it.address()), it.block().network(), it.owner()));
      }
    }
  }

  private String blockKey(BlockId id, String owner) {
    return store.keys().block(store.network(), owner, id);
  }

  /** Reports claims without a block, and blocks without their node's claim. */
  private void reportClaims(List<KeyValue> claims, List<Block> blocks) {
    Map<String, String> claimed = new HashMap<>();
    claims.forEach(it -> claimed.put(it.key(), it.value()));
    for (Block block : blocks) {
      String key = store.keys().claim(store.network(), block.id());
      String value = EtcdStore.nodeValue(block.owner());
      if (!value.equals(claimed.remove(key))) {
        problems.add(
            "block %s of node %s has no claim, and another node could use it: run etcdctl put %s '%s'"
                .formatted(block.id().network(), block.owner(), key, value));
      }
    }
    for (String key : claimed.keySet()) {
      problems.add(
          "%s is claimed, but there is no such block: run \"cni repair\" for the attachments that"
                  .formatted(key)
              + " have addresses of it, or delete the key if there are none");
    }
  }

  private List<AddressReport.Pool> pools(Set<InetAddress> held) {
    Map<RangeSet, List<InetAddress>> used = new HashMap<>();
    for (InetAddress it : held) {
      config
          .ranges()
          .index()
          .find(it)
          .ifPresent(set -> used.computeIfAbsent(set, _ -> new ArrayList<>()).add(it));
    }
    return config.ranges().sets().stream()
        .map(set -> pool(set, used.getOrDefault(set, List.of())))
        .toList();
  }

  private AddressReport.Pool pool(RangeSet set, List<InetAddress> used) {
    BlockLayout layout = config.layout(set);
    // Addresses that are excluded or the gateway by now are no part of the capacity.
    long unusable = used.stream().filter(it -> !layout.isUsable(it)).count();
    return new AddressReport.Pool(
        set.toString(),
        layout.capacity().add(BigInteger.valueOf(unusable)),
        BigInteger.valueOf(used.size()));
  }

  private AddressReport.Block describe(Block block) {
    BigInteger usable = BigInteger.ZERO;
    for (RangeSet set : config.ranges().sets()) {
      usable = usable.or(config.layout(set).usable(block.id()));
    }
    return new AddressReport.Block(
        block.id().network(),
        block.owner(),
        usable.or(block.used()).bitCount(), // used ones may be excluded by now
        block.used().bitCount());
  }

  private List<AddressReport.Node> nodes(List<KeyValue> stored) throws CniException {
    Set<String> alive = store.readAliveNodes(deadline);
    return parse(
        stored,
        it -> {
          String name = it.key().substring(store.keys().nodes().length());
          return new AddressReport.Node(name, liveness(NodeRecord.parse(it), alive.contains(name)));
        });
  }

  private static AddressReport.Liveness liveness(NodeRecord node, boolean isAlive) {
    if (isAlive) {
      return AddressReport.Liveness.ALIVE;
    }
    return switch (node.state()) {
      case WITH_HOST, RELEASED -> AddressReport.Liveness.LOST;
      case WITHOUT_HOST -> AddressReport.Liveness.UNKNOWN;
    };
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
              Optional.of(store.nameOf(it)),
              Optional.empty(),
              it.addresses().stream().map(ReservedAddress::address).toList(),
              Optional.of(it.since())));
    }
    return holders;
  }
}
