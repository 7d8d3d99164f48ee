package cni.netlink.ffm.netfilter;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.Netlink;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkMessage;
import cni.netlink.ffm.NetlinkSocket;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The tables, chains and rules of one network namespace, as nft(8) shows and changes them. Any
 * thread may use it.
 */
public final class Nftables implements AutoCloseable {
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  /** How often a change is planned again because somebody else changed something meanwhile. */
  private static final int ATTEMPTS = 200;

  /** Those of one process take turns: each commit would only have the others plan again. */
  private static final ReentrantLock TURN = new ReentrantLock();

  private final NetlinkSocket socket;

  private Nftables(NetlinkSocket socket) {
    this.socket = socket;
  }

  /**
   * Opens the namespace of the calling thread.
   *
   * @throws KernelException if the socket cannot be opened; EPROTONOSUPPORT if the kernel has no
   *     netfilter
   */
  public static Nftables open() throws KernelException {
    return new Nftables(NetlinkSocket.open(Netlink.NETLINK_NETFILTER, PATIENCE));
  }

  /**
   * Opens another namespace.
   *
   * @throws KernelException if it cannot be entered or the socket not be opened
   */
  public static Nftables open(NetNs namespace) throws KernelException {
    return namespace.call(Nftables::open);
  }

  /**
   * Every chain of every table.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<ListedChain> chains() throws IOException {
    List<ListedChain> chains = new ArrayList<>();
    var request =
        new NetlinkMessage(
            "list chains",
            NfTables.NFNL_SUBSYS_NFTABLES << 8 | NfTables.NFT_MSG_GETCHAIN,
            Netlink.NLM_F_DUMP);
    for (ByteBuffer message : socket.execute(NfTables.header(request, 0))) {
      chains.add(ListedChain.read(message));
    }
    return chains;
  }

  /**
   * Whether a table is there and in force, and anybody may change it: it is neither dormant nor the
   * property of a process.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public boolean isOpen(Table table) throws IOException {
    NetlinkMessage request =
        NfTables.message(
                "get table \"" + table + "\"", NfTables.NFT_MSG_GETTABLE, 0, table.family())
            .string(NfTables.NFTA_TABLE_NAME, table.name());
    int closed = NfTables.NFT_TABLE_F_DORMANT | NfTables.NFT_TABLE_F_OWNER;
    try {
      Attributes attributes = NfTables.attributes(socket.execute(request).getFirst());
      return (attributes.be32(NfTables.NFTA_TABLE_FLAGS).orElse(0) & closed) == 0;
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
  public List<ListedRule> rules(Table table) throws IOException {
    return rules(listRequest(table), table);
  }

  /**
   * The rules of a chain, in their order; none if there is no such chain.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<ListedRule> rules(Chain chain) throws IOException {
    NetlinkMessage request = listRequest(chain.table());
    return rules(request.string(NfTables.NFTA_RULE_CHAIN, chain.name()), chain.table());
  }

  private static NetlinkMessage listRequest(Table table) {
    return NfTables.message(
            "list rules of table \"" + table + "\"",
            NfTables.NFT_MSG_GETRULE,
            Netlink.NLM_F_DUMP,
            table.family())
        .string(NfTables.NFTA_RULE_TABLE, table.name());
  }

  private List<ListedRule> rules(NetlinkMessage request, Table table) throws IOException {
    List<ListedRule> rules = new ArrayList<>();
    try {
      for (ByteBuffer message : socket.execute(request)) {
        ListedRule rule = ListedRule.read(message);
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
        if (!e.is(Errno.EINTR) || attempt == ATTEMPTS) {
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
  public <E extends Exception> void update(Plan<E> plan) throws IOException, E {
    TURN.lock();
    try {
      for (int attempt = 1; ; attempt++) {
        int generation = generation();
        Transaction transaction = plan.make(this);
        try {
          commit(transaction, OptionalInt.of(generation));
          return;
        } catch (NetlinkException e) {
          if (!e.is(Errno.ERESTART) || attempt == ATTEMPTS) {
            throw e;
          }
        }
      }
    } finally {
      TURN.unlock();
    }
  }

  /**
   * Which changes are to be made.
   *
   * @param <E> what it throws if it finds that none may be
   */
  @FunctionalInterface
  public interface Plan<E extends Exception> {
    /** Decides by what is there; it may be asked more than once. */
    Transaction make(Nftables there) throws IOException, E;
  }

  private int generation() throws IOException {
    NetlinkMessage request =
        NfTables.header(
            new NetlinkMessage(
                "get the generation",
                NfTables.NFNL_SUBSYS_NFTABLES << 8 | NfTables.NFT_MSG_GETGEN,
                0),
            0);
    for (ByteBuffer message : socket.execute(request)) {
      Attributes attributes = NfTables.attributes(message);
      OptionalInt id = attributes.be32(NfTables.NFTA_GEN_ID);
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
  public Optional<String> unavailable() throws IOException {
    try {
      generation();
      return Optional.empty();
    } catch (NetlinkException e) {
      return Optional.of("the kernel has no nf_tables: " + e.getMessage());
    }
  }

  /** As {@link NetlinkSocket#isWhole}. */
  public boolean isWhole() {
    return socket.isWhole();
  }

  @Override
  public void close() {
    socket.close();
  }
}
