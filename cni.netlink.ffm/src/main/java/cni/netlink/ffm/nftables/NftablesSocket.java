// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkClient;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A socket for nf_tables: lists and changes the tables, chains and rules of one network namespace.
 * Safe for use by several threads.
 */
public final class NftablesSocket extends NetlinkClient {
  /** The number of attempts at a change that conflicts with changes of other processes. */
  private static final int MAX_ATTEMPTS = 200;

  /**
   * Serializes the updates of this process. If they ran in parallel, each commit would make the
   * others start again.
   */
  private static final ReentrantLock UPDATE_LOCK = new ReentrantLock();

  private NftablesSocket() throws KernelException {
    super(NetlinkConstants.NETLINK_NETFILTER);
  }

  /**
   * Opens a socket in the namespace of the calling thread.
   *
   * @throws KernelException if the socket cannot be opened; EPROTONOSUPPORT if the kernel has no
   *     netfilter
   */
  public static NftablesSocket open() throws KernelException {
    return new NftablesSocket();
  }

  /**
   * Opens a socket in another namespace.
   *
   * @throws KernelException if the namespace cannot be entered or the socket cannot be opened
   */
  public static NftablesSocket open(NetNs namespace) throws KernelException {
    return namespace.call(NftablesSocket::open);
  }

  /**
   * Returns the chains of all tables.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledChain> chains() throws IOException {
    List<InstalledChain> chains = new ArrayList<>();
    for (ByteBuffer message : listChains()) {
      chains.add(InstalledChain.read(message));
    }
    return chains;
  }

  /**
   * Returns the base chains of all tables. The others, of which iptables has several for each
   * container, are passed over.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledChain> baseChains() throws IOException {
    List<InstalledChain> chains = new ArrayList<>();
    for (ByteBuffer message : listChains()) {
      if (NetfilterMessages.attributes(message).has(NftablesConstants.NFTA_CHAIN_HOOK)) {
        chains.add(InstalledChain.read(message));
      }
    }
    return chains;
  }

  private List<ByteBuffer> listChains() throws IOException {
    NetlinkRequest request =
        NetfilterMessages.nftRequest(
            "list chains",
            NftablesConstants.NFT_MSG_GETCHAIN,
            NetlinkConstants.NLM_F_DUMP,
            NetfilterMessages.NFPROTO_UNSPEC);
    return socket.execute(request);
  }

  /**
   * Returns whether a chain exists.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean exists(Chain chain) throws IOException {
    NetlinkRequest request =
        NetfilterMessages.nftRequest(
                "get chain \"" + chain + "\"",
                NftablesConstants.NFT_MSG_GETCHAIN,
                0,
                chain.family().number())
            .string(NftablesConstants.NFTA_CHAIN_TABLE, chain.table().name())
            .string(NftablesConstants.NFTA_CHAIN_NAME, chain.name());
    try {
      var _ = socket.exchange(List.of(request)).getFirst().single();
      return true;
    } catch (NetlinkException e) {
      if (e.is(Errno.ENOENT)) {
        return false;
      }
      throw e;
    }
  }

  /**
   * Returns whether a table exists.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean exists(Table table) throws IOException {
    try {
      var _ = socket.exchange(List.of(tableRequest(table))).getFirst().single();
      return true;
    } catch (NetlinkException e) {
      if (e.is(Errno.ENOENT)) {
        return false;
      }
      throw e;
    }
  }

  private static NetlinkRequest tableRequest(Table table) {
    return NetfilterMessages.nftRequest(
            "get table \"" + table + "\"",
            NftablesConstants.NFT_MSG_GETTABLE,
            0,
            table.family().number())
        .string(NftablesConstants.NFTA_TABLE_NAME, table.name());
  }

  /**
   * Returns the tables of all families.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<Table> tables() throws IOException {
    List<Table> tables = new ArrayList<>();
    NetlinkRequest request =
        NetfilterMessages.nftRequest(
            "list tables",
            NftablesConstants.NFT_MSG_GETTABLE,
            NetlinkConstants.NLM_F_DUMP,
            NetfilterMessages.NFPROTO_UNSPEC);
    for (ByteBuffer message : socket.execute(request)) {
      TableFamily family = TableFamily.ofNumber(NetfilterMessages.family(message));
      Attributes attributes = NetfilterMessages.attributes(message);
      String name = attributes.string(NftablesConstants.NFTA_TABLE_NAME).orElse("");
      tables.add(new Table(family, name));
    }
    return tables;
  }

  /**
   * Returns whether a table exists, is in force and may be changed by any process: whether it is
   * neither dormant nor owned by a process (NFT_TABLE_F_DORMANT, NFT_TABLE_F_OWNER).
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean isUsable(Table table) throws IOException {
    int unusable = NftablesConstants.NFT_TABLE_F_DORMANT | NftablesConstants.NFT_TABLE_F_OWNER;
    try {
      Attributes attributes =
          NetfilterMessages.attributes(
              socket.exchange(List.of(tableRequest(table))).getFirst().single());
      return (attributes.be32(NftablesConstants.NFTA_TABLE_FLAGS).orElse(0) & unusable) == 0;
    } catch (NetlinkException e) {
      if (e.is(Errno.ENOENT)) {
        return false;
      }
      throw e;
    }
  }

  /**
   * Returns the rules of all chains of a table, in the order of the chains; empty if there is no
   * such table.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledRule> rules(Table table) throws IOException {
    return rules(listRequest(table), table);
  }

  /**
   * Returns the rules of a chain in their order; empty if there is no such chain.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledRule> rules(Chain chain) throws IOException {
    NetlinkRequest request = listRequest(chain.table());
    return rules(request.string(NftablesConstants.NFTA_RULE_CHAIN, chain.name()), chain.table());
  }

  private static NetlinkRequest listRequest(Table table) {
    return NetfilterMessages.nftRequest(
            "list rules of table \"" + table + "\"",
            NftablesConstants.NFT_MSG_GETRULE,
            NetlinkConstants.NLM_F_DUMP,
            table.family().number())
        .string(NftablesConstants.NFTA_RULE_TABLE, table.name());
  }

  private List<InstalledRule> rules(NetlinkRequest request, Table table) throws IOException {
    List<InstalledRule> rules = new ArrayList<>();
    try {
      for (ByteBuffer message : socket.execute(request)) {
        InstalledRule rule = InstalledRule.read(message);
        if (rule.chain().table().equals(table)) {
          rules.add(rule);
        }
      }
      return rules;
    } catch (NetlinkException e) {
      if (e.is(Errno.ENOENT)) {
        return List.of();
      }
      throw e;
    }
  }

  /**
   * Returns the elements of a set, such as the anonymous one that a listed rule looks up.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  Set<AnonymousSet.Element> elements(Table table, String set) throws IOException {
    Set<AnonymousSet.Element> elements = new HashSet<>();
    NetlinkRequest request =
        NetfilterMessages.nftRequest(
                "list set \"" + table + " " + set + "\"",
                NftablesConstants.NFT_MSG_GETSETELEM,
                NetlinkConstants.NLM_F_DUMP,
                table.family().number())
            .string(NftablesConstants.NFTA_SET_ELEM_LIST_TABLE, table.name())
            .string(NftablesConstants.NFTA_SET_ELEM_LIST_SET, set);
    for (ByteBuffer message : socket.execute(request)) {
      elements.addAll(AnonymousSet.readElements(NetfilterMessages.attributes(message)));
    }
    return elements;
  }

  /**
   * Returns the content of a table: its chains, rules, sets with their elements, and limits; empty
   * if there is no such table. A set with timeouts is listed without its elements.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public TableContent content(Table table) throws IOException {
    return counters(table).content();
  }

  /**
   * Returns the content of a table and what its rules and elements have counted.
   *
   * @throws KernelException EAGAIN if the ruleset changes during each of many attempts
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public TableCounters counters(Table table) throws IOException {
    for (int attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      int generation = generation();
      TableCounters listed = new TableReader(socket, table).read();
      if (generation() == generation) {
        return listed;
      }
    }
    throw new KernelException(
        Errno.EAGAIN, "list table \"" + table + "\": it changed during each attempt");
  }

  /**
   * Returns the elements of a named set, including those that expire, with what they have counted;
   * empty if there is no such set.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public Map<SetElement, PacketCount> elements(Table table, NamedSet set) throws IOException {
    return new TableReader(socket, table).read(set.name());
  }

  /**
   * Returns what an element of a named set has counted; empty if the set is not there or does not
   * have the element, with the same verdict. Without counters in the set the count is zero.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public Optional<PacketCount> element(Table table, NamedSet set, SetElement element)
      throws IOException {
    if (set.isInterval() && !set.isConcatenation()) {
      return Optional.ofNullable(elements(table, set).get(element)); // a range is two elements
    }
    try {
      var reader = new NamedSetReader(set);
      NetlinkRequest request = new NamedSetMessages(table, set).get(element);
      reader.accept(
          NetfilterMessages.attributes(socket.exchange(List.of(request)).getFirst().single()));
      return Optional.ofNullable(reader.counts().get(element));
    } catch (NetlinkException e) {
      if (e.is(Errno.ENOENT)) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * Commits a transaction.
   *
   * @throws NetlinkException if the kernel refuses a change; none has been made
   * @throws IOException if the socket fails
   */
  public void commit(Transaction transaction) throws IOException {
    commit(transaction, OptionalInt.empty());
  }

  /**
   * Commits a transaction.
   *
   * @param generation the generation that the transaction was planned for; if given, the commit
   *     fails with ERESTART if the ruleset has changed since
   */
  void commit(Transaction transaction, OptionalInt generation) throws IOException {
    for (int attempt = 1; !transaction.isEmpty(); attempt++) {
      try {
        socket.transact(transaction.batch(generation));
        return;
      } catch (NetlinkException e) {
        if (!e.is(Errno.EINTR) || attempt == MAX_ATTEMPTS) {
          throw e;
        }
      }
    }
  }

  /**
   * Commits a transaction that depends on the present ruleset. If the ruleset changes between the
   * planning and the commit (ERESTART), plans and commits again.
   *
   * @param planner lists what it needs of the ruleset and returns the changes
   * @throws NetlinkException if the kernel refuses a change; none has been made
   * @throws IOException if the socket fails
   * @throws E if the planner does
   */
  public <E extends Exception> void update(Planner<E> planner) throws IOException, E {
    UPDATE_LOCK.lock();
    try {
      for (int attempt = 1; ; attempt++) {
        int generation = generation();
        Transaction transaction = planner.plan(this);
        try {
          commit(transaction, OptionalInt.of(generation));
          return;
        } catch (NetlinkException e) {
          if (!e.is(Errno.ERESTART) || attempt == MAX_ATTEMPTS) {
            throw e;
          }
        }
      }
    } finally {
      UPDATE_LOCK.unlock();
    }
  }

  /**
   * Plans the changes of {@link #update}.
   *
   * @param <E> the exception that ends the update without changes
   */
  @FunctionalInterface
  public interface Planner<E extends Exception> {
    /**
     * Returns the changes to make, which may be none. It may be called several times.
     *
     * @param nftables the socket to list the ruleset with
     */
    Transaction plan(NftablesSocket nftables) throws IOException, E;
  }

  /** Returns the number that changes with every change of the ruleset. */
  int generation() throws IOException {
    NetlinkRequest request =
        NetfilterMessages.nftRequest(
            "get the generation",
            NftablesConstants.NFT_MSG_GETGEN,
            0,
            NetfilterMessages.NFPROTO_UNSPEC);
    for (ByteBuffer message : socket.execute(request)) {
      Attributes attributes = NetfilterMessages.attributes(message);
      OptionalInt id = attributes.be32(NftablesConstants.NFTA_GEN_ID);
      if (id.isPresent()) {
        return id.getAsInt();
      }
    }
    throw new MalformedMessageException("no generation in the response");
  }

  /**
   * Returns the reason why nf_tables cannot be used; empty if it can.
   *
   * @throws IOException if the socket fails
   */
  public Optional<String> unavailabilityReason() throws IOException {
    try {
      generation();
      return Optional.empty();
    } catch (NetlinkException e) {
      return Optional.of("the kernel has no nf_tables: " + e.getMessage());
    }
  }
}
