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
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
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
    NetlinkRequest request =
        NetfilterMessages.nftRequest(
            "list chains",
            NftablesConstants.NFT_MSG_GETCHAIN,
            NetlinkConstants.NLM_F_DUMP,
            NetfilterMessages.NFPROTO_UNSPEC);
    for (ByteBuffer message : socket.execute(request)) {
      chains.add(InstalledChain.read(message));
    }
    return chains;
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
   * Returns whether a table exists, is in force and may be changed by any process: whether it is
   * neither dormant nor owned by a process (NFT_TABLE_F_DORMANT, NFT_TABLE_F_OWNER).
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean isUsable(Table table) throws IOException {
    NetlinkRequest request =
        NetfilterMessages.nftRequest(
                "get table \"" + table + "\"",
                NftablesConstants.NFT_MSG_GETTABLE,
                0,
                table.family().number())
            .string(NftablesConstants.NFTA_TABLE_NAME, table.name());
    int unusable = NftablesConstants.NFT_TABLE_F_DORMANT | NftablesConstants.NFT_TABLE_F_OWNER;
    try {
      Attributes attributes =
          NetfilterMessages.attributes(socket.exchange(List.of(request)).getFirst().single());
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
   * Commits a transaction.
   *
   * @throws NetlinkException if the kernel refuses a change; none has been made
   * @throws IOException if the socket fails
   */
  public void commit(Transaction transaction) throws IOException {
    commit(transaction, OptionalInt.empty());
  }

  private void commit(Transaction transaction, OptionalInt generation) throws IOException {
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
  private int generation() throws IOException {
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
