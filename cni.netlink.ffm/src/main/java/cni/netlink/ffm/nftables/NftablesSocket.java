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
 * The tables, chains and rules of one network namespace, as nft(8) shows and changes them. Any
 * thread may use it.
 */
public final class NftablesSocket extends NetlinkClient {
  /** How often a change is planned again because somebody else changed something meanwhile. */
  private static final int MAX_ATTEMPTS = 200;

  /** Those of one process take turns: each commit would only have the others plan again. */
  private static final ReentrantLock UPDATE_LOCK = new ReentrantLock();

  private NftablesSocket() throws KernelException {
    super(NetlinkConstants.NETLINK_NETFILTER);
  }

  /**
   * Opens the namespace of the calling thread.
   *
   * @throws KernelException if the socket cannot be opened; EPROTONOSUPPORT if the kernel has no
   *     netfilter
   */
  public static NftablesSocket open() throws KernelException {
    return new NftablesSocket();
  }

  /**
   * Opens another namespace.
   *
   * @throws KernelException if it cannot be entered or the socket not be opened
   */
  public static NftablesSocket open(NetNs namespace) throws KernelException {
    return namespace.call(NftablesSocket::open);
  }

  /**
   * Every chain of every table.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<InstalledChain> chains() throws IOException {
    List<InstalledChain> chains = new ArrayList<>();
    var request =
        new NetlinkRequest(
            "list chains",
            NftablesConstants.NFNL_SUBSYS_NFTABLES << 8 | NftablesConstants.NFT_MSG_GETCHAIN,
            NetlinkConstants.NLM_F_DUMP);
    for (ByteBuffer message : socket.execute(NftablesConstants.header(request, 0))) {
      chains.add(InstalledChain.read(message));
    }
    return chains;
  }

  /**
   * Whether a table is there and in force, and anybody may change it: it is neither dormant nor the
   * property of a process.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public boolean isUsable(Table table) throws IOException {
    NetlinkRequest request =
        NftablesConstants.message(
                "get table \"" + table + "\"",
                NftablesConstants.NFT_MSG_GETTABLE,
                0,
                table.family())
            .string(NftablesConstants.NFTA_TABLE_NAME, table.name());
    int closed = NftablesConstants.NFT_TABLE_F_DORMANT | NftablesConstants.NFT_TABLE_F_OWNER;
    try {
      Attributes attributes = NftablesConstants.attributes(socket.execute(request).getFirst());
      return (attributes.be32(NftablesConstants.NFTA_TABLE_FLAGS).orElse(0) & closed) == 0;
    } catch (NetlinkException e) {
      if (e.is(Errno.ENOENT)) {
        return false;
      }
      throw e;
    }
  }

  /**
   * The rules of every chain of a table, in their order; none if there is no such table.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<InstalledRule> rules(Table table) throws IOException {
    return rules(listRequest(table), table);
  }

  /**
   * The rules of a chain, in their order; none if there is no such chain.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<InstalledRule> rules(Chain chain) throws IOException {
    NetlinkRequest request = listRequest(chain.table());
    return rules(request.string(NftablesConstants.NFTA_RULE_CHAIN, chain.name()), chain.table());
  }

  private static NetlinkRequest listRequest(Table table) {
    return NftablesConstants.message(
            "list rules of table \"" + table + "\"",
            NftablesConstants.NFT_MSG_GETRULE,
            NetlinkConstants.NLM_F_DUMP,
            table.family())
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
   * Makes changes.
   *
   * @throws NetlinkException why the kernel refused them; none has been made
   * @throws IOException if the kernel cannot be asked
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
   * Makes changes that depend on what is there. If anybody changes anything between the listing and
   * the commit, both are done again.
   *
   * @param plan lists what it needs and says what to change
   * @throws NetlinkException why the kernel refused the changes; none has been made
   * @throws IOException if the kernel cannot be asked
   * @throws E what the plan throws
   */
  public <E extends Exception> void update(Planner<E> plan) throws IOException, E {
    UPDATE_LOCK.lock();
    try {
      for (int attempt = 1; ; attempt++) {
        int generation = generation();
        Transaction transaction = plan.plan(this);
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
   * Which changes are to be made.
   *
   * @param <E> what it throws if it finds that none may be
   */
  @FunctionalInterface
  public interface Planner<E extends Exception> {
    /** Decides by what is there; it may be asked more than once. */
    Transaction plan(NftablesSocket there) throws IOException, E;
  }

  private int generation() throws IOException {
    NetlinkRequest request =
        NftablesConstants.header(
            new NetlinkRequest(
                "get the generation",
                NftablesConstants.NFNL_SUBSYS_NFTABLES << 8 | NftablesConstants.NFT_MSG_GETGEN,
                0),
            0);
    for (ByteBuffer message : socket.execute(request)) {
      Attributes attributes = NftablesConstants.attributes(message);
      OptionalInt id = attributes.be32(NftablesConstants.NFTA_GEN_ID);
      if (id.isPresent()) {
        return id.getAsInt();
      }
    }
    throw new MalformedMessageException("no generation in the answer");
  }

  /**
   * Whether nf_tables can be used here: {@code empty} if so, otherwise why not.
   *
   * @throws IOException if the kernel cannot be asked
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
