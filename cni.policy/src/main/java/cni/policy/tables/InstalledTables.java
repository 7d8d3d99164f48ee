// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static cni.netlink.ffm.nftables.AnonymousSet.Type.INTERFACE_NAME;

import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableContent;
import cni.netlink.ffm.nftables.TableContent.ChainContent;
import cni.netlink.ffm.nftables.TableContent.SetContent;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** What the kernel has of the {@link PolicyTables}, whatever other programs have done to them. */
public final class InstalledTables {
  private static final List<Table> TABLES = List.of(InetTable.TABLE, BridgeTable.TABLE);

  private final NftablesSocket nftables;

  InstalledTables(NftablesSocket nftables) {
    this.nftables = nftables;
  }

  /** Returns the data directory that the tables follow from, as their comment has it. */
  Optional<String> owner() throws IOException {
    List<InstalledRule> rules = nftables.rules(InetTable.TABLE.chain(PolicyTables.OWNER));
    return rules.isEmpty() ? Optional.empty() : rules.getFirst().rule().userdata().comment();
  }

  /** Returns whether they have an attachment. */
  boolean haveAttachments() throws IOException {
    return !keys(InetTable.PORTS).isEmpty();
  }

  /**
   * Returns the interfaces that the tables exempt.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public Set<Bytes> exempt() throws IOException {
    Set<Bytes> names = keys(InetTable.KNOWN);
    names.removeAll(keys(InetTable.PORTS));
    return names;
  }

  /** What a container's interface, by the key of its name, may send from. */
  public record Source(Bytes device, Cidr address) {}

  /**
   * Returns the containers that the tables have.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public Set<Source> sources() throws IOException {
    Set<Source> sources = new HashSet<>();
    for (NamedSet set : List.of(InetTable.SOURCES_4, InetTable.SOURCES_6)) {
      for (Bytes key : keys(set)) {
        sources.add(source(key));
      }
    }
    return sources;
  }

  private static Source source(Bytes key) {
    byte[] all = key.toArray();
    byte[] address = Arrays.copyOfRange(all, INTERFACE_NAME.length(), all.length);
    return new Source(
        Bytes.of(Arrays.copyOf(all, INTERFACE_NAME.length())),
        new Cidr(InetAddresses.of(address), address.length * Byte.SIZE));
  }

  /** Returns the keys that a set has in either table. */
  private Set<Bytes> keys(NamedSet set) throws IOException {
    Set<Bytes> names = new HashSet<>();
    for (Table table : TABLES) {
      if (nftables.exists(table)) {
        nftables.elements(table, set).keySet().forEach(it -> names.add(it.first()));
      }
    }
    return names;
  }

  /** Returns the tables that are switched off, or owned by a process. */
  List<Table> unusable() throws IOException {
    List<Table> unusable = new ArrayList<>();
    for (Table table : TABLES) {
      if (nftables.exists(table) && !nftables.isUsable(table)) {
        unusable.add(table);
      }
    }
    return unusable;
  }

  /** Returns whether a table has the chains, with equivalent rules, and the elements of a part. */
  boolean contain(TableContent part) throws IOException {
    Table table = part.table();
    for (Map.Entry<String, ChainContent> chain : part.chains().entrySet()) {
      List<InstalledRule> rules = nftables.rules(table.chain(chain.getKey()));
      if (!areEquivalent(chain.getValue().rules(), rules)) {
        return false;
      }
    }
    for (SetContent set : part.sets().values()) {
      for (SetElement element : set.elements()) {
        if (nftables.element(table, set.set(), element).isEmpty()) {
          return false;
        }
      }
    }
    return true;
  }

  /** Returns what of a part a table does not have, or has with other content, as a clause. */
  Optional<String> damage(TableContent part) throws IOException {
    Table table = part.table();
    if (!nftables.exists(table)) {
      return Optional.of("table " + table + " is missing");
    }
    for (Map.Entry<String, ChainContent> chain : part.chains().entrySet()) {
      List<InstalledRule> rules = nftables.rules(table.chain(chain.getKey()));
      if (!areEquivalent(chain.getValue().rules(), rules)) {
        return Optional.of("chain " + table + " " + chain.getKey() + " is missing or differs");
      }
    }
    for (SetContent set : part.sets().values()) {
      Set<SetElement> expected = set.elements();
      if (!expected.isEmpty() && !nftables.elements(table, set.set()).keySet().equals(expected)) {
        return Optional.of("set " + table + " " + set.set().name() + " is missing or differs");
      }
    }
    return Optional.empty();
  }

  private static boolean areEquivalent(List<Rule> expected, List<InstalledRule> rules) {
    if (rules.size() != expected.size()) {
      return false;
    }
    for (int i = 0; i < rules.size(); i++) {
      if (!expected.get(i).isEquivalentTo(rules.get(i).rule())) {
        return false;
      }
    }
    return true;
  }
}
