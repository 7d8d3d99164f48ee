// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableContent;
import cni.netlink.ffm.nftables.TableReconciler;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.nftables.Userdata;
import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.PolicyHits;
import cni.policy.PolicyState;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * The tables of nf_tables that policies are enforced with, both named {@code cni_policy}: one of
 * the family {@code inet} for the policies, one of the family {@code bridge} that keeps containers
 * from evading them. Not safe for use by several threads.
 */
public final class PolicyTables {
  /**
   * The index of the last state; a thread takes it out while it uses it. It makes an ADD among
   * 1,000 attachments about ten times as fast.
   */
  private static final AtomicReference<@Nullable StateIndex> LAST = new AtomicReference<>();

  /** A chain that nothing jumps to: the comment of its rule says to whom the tables belong. */
  static final String OWNER = "owner";

  private final NftablesSocket nftables;
  private final InstalledTables installed;
  private final Optional<String> owner;

  /** Creates an instance for the namespace of a socket. It does not close the socket. */
  public PolicyTables(NftablesSocket nftables) {
    this(nftables, Optional.empty());
  }

  /**
   * Creates an instance that does not replace the tables of another data directory.
   *
   * @param data the data directory that the tables follow from
   */
  public PolicyTables(NftablesSocket nftables, Path data) {
    this(nftables, Optional.of(Userdata.truncateComment(data.toString())));
  }

  private PolicyTables(NftablesSocket nftables, Optional<String> owner) {
    this.nftables = nftables;
    this.installed = new InstalledTables(nftables);
    this.owner = owner;
  }

  /** The content of both tables. */
  record Contents(TableContent inet, TableContent bridge) {
    private static final Contents NONE =
        new Contents(TableContent.empty(InetTable.TABLE), TableContent.empty(BridgeTable.TABLE));
  }

  /** Returns whether a state needs tables. */
  private static boolean isEnforced(PolicyState state) {
    return !state.endpoints().isEmpty() || !state.guards().isEmpty();
  }

  /**
   * Returns the content of the tables for a state.
   *
   * @throws CniException code 7 if policies need too many elements; the message names them
   */
  static Contents compile(PolicyState state) throws CniException {
    return isEnforced(state) ? compile(StateIndex.of(state), Optional.empty()) : Contents.NONE;
  }

  private Contents marked(StateIndex index) throws CniException {
    return compile(index, owner);
  }

  private static Contents compile(StateIndex index, Optional<String> owner) throws CniException {
    var inet = new ContentBuilder(InetTable.TABLE);
    var bridge = new ContentBuilder(BridgeTable.TABLE);
    owner.ifPresent(it -> inet.add(OWNER, Chains.regular(Chains.comment(it))));
    addEndpoints(index, inet, bridge);
    for (Profile profile : index.profiles().values()) {
      InetTable.addProfile(index, profile, inet);
    }
    index.limits().values().forEach(it -> InetTable.addLimits(it, inet));
    return new Contents(inet.build(), bridge.build());
  }

  /** Adds what all packets pass, and the elements of the endpoints themselves. */
  private static void addEndpoints(StateIndex index, ContentBuilder inet, ContentBuilder bridge) {
    InetTable.addFrame(inet);
    BridgeTable.addFrame(bridge);
    for (Identity identity : index.identities()) {
      InetTable.addIdentity(index, identity, inet);
      BridgeTable.addIdentity(index, identity, bridge);
    }
    for (String port : index.ports()) {
      InetTable.addPort(index, port, inet);
      BridgeTable.addPort(index, port, bridge);
    }
    for (String port : index.state().exempt()) {
      InetTable.addPort(index, port, inet);
      BridgeTable.addPort(index, port, bridge);
    }
    Guards.addElements(index.state(), false, inet);
    Guards.addElements(index.state(), true, bridge);
  }

  /**
   * Brings the tables from one state to another in one transaction. It consists of the difference,
   * which is computed from what differs between the states: the tables are not listed.
   *
   * @param change the difference between the states
   * @throws CniException code 7 if policies need too many elements, or the tables are those of
   *     another data directory; nothing has changed
   * @throws cni.netlink.ffm.NetlinkException if the kernel refuses; with ENOENT or EEXIST the
   *     tables did not have the content of the state before, and {@link #synchronize} helps
   * @throws IOException if the socket fails
   */
  public void apply(PolicyState before, PolicyState after, StateChange change)
      throws CniException, IOException {
    var transaction = new Transaction();
    StateIndex next = append(before, after, change, transaction);
    nftables.commit(transaction);
    LAST.set(next);
  }

  void apply(PolicyState before, PolicyState after) throws CniException, IOException {
    apply(before, after, StateChange.between(before, after));
  }

  private @Nullable StateIndex append(
      PolicyState before, PolicyState after, StateChange change, Transaction transaction)
      throws CniException, IOException {
    if (!isEnforced(after)) {
      if (isEnforced(before) && !isForeign()) {
        delete(transaction);
      }
      return null;
    }
    if (!isEnforced(before)) {
      StateIndex created = StateIndex.of(after);
      requireOwn();
      delete(transaction); // there may be tables that the state before does not know of
      append(Contents.NONE, marked(created), transaction);
      return created;
    }
    StateIndex present = takeIndex(before);
    TableChange.apply(present, after, change).append(transaction);
    return present;
  }

  private static void append(Contents before, Contents after, Transaction transaction) {
    TableReconciler.append(transaction, before.inet(), after.inet());
    TableReconciler.append(transaction, before.bridge(), after.bridge());
  }

  /** Deletes tables whether they exist or not. */
  private static void delete(Transaction transaction) {
    transaction.add(InetTable.TABLE).delete(InetTable.TABLE);
    transaction.add(BridgeTable.TABLE).delete(BridgeTable.TABLE);
  }

  /**
   * Makes the tables equal to the content of a state, whatever they contain. Flows that have been
   * cut stay so, unless a table must be made anew because something else is in it.
   *
   * @throws CniException code 7 as {@link #apply}; nothing has changed
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public void synchronize(PolicyState state) throws CniException, IOException {
    StateIndex created = StateIndex.of(state);
    Contents wanted = isEnforced(state) ? marked(created) : Contents.NONE;
    if (!isEnforced(state) && isForeign()) {
      return;
    }
    requireOwn();
    if (!installed.unusable().isEmpty() || !tryReconcile(wanted)) {
      var transaction = new Transaction();
      delete(transaction);
      append(Contents.NONE, wanted, transaction);
      nftables.commit(transaction);
    }
    LAST.set(isEnforced(state) ? created : null);
  }

  /**
   * Requires that the tables do not follow from another data directory.
   *
   * @throws CniException code 7 if they do
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public void requireOwn() throws CniException, IOException {
    if (isForeign()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          ("dataDir \"%s\" must be the same for all networks of a host, but policies of attachments"
                  + " are in force from dataDir \"%s\"; use that, or delete these attachments")
              .formatted(owner.orElse(""), installed.owner().orElse("")));
    }
  }

  /**
   * Returns whether the tables follow from another data directory and have attachments.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean isForeign() throws IOException {
    return installed.owner().filter(it -> !it.equals(owner.orElse(it))).isPresent()
        && installed.haveAttachments();
  }

  /** Returns what the kernel has of the tables. */
  public InstalledTables installed() {
    return installed;
  }

  /** Returns false if something in the tables, which other programs made, is in the way. */
  private boolean tryReconcile(Contents wanted) throws IOException {
    try {
      nftables.update(
          socket -> {
            var transaction = new Transaction();
            append(list(socket), wanted, transaction);
            return transaction;
          });
      return true;
    } catch (NetlinkException e) {
      if (e.is(Errno.EBUSY)
          || e.is(Errno.EEXIST)
          || e.is(Errno.ENOENT)
          || e.is(Errno.EINVAL)
          || e.is(Errno.EOPNOTSUPP)) {
        return false;
      }
      throw e;
    }
  }

  private static Contents list(NftablesSocket nftables) throws IOException {
    return new Contents(nftables.content(InetTable.TABLE), nftables.content(BridgeTable.TABLE));
  }

  /**
   * Returns in what the tables differ from the content of a state, a line for each difference.
   *
   * @throws CniException code 7 if policies need too many elements
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<String> difference(PolicyState state) throws CniException, IOException {
    Contents expected = isEnforced(state) ? marked(StateIndex.of(state)) : Contents.NONE;
    Contents actual = list(nftables);
    List<String> lines = new ArrayList<>();
    for (Table table : installed.unusable()) {
      lines.add("table " + table + ": switched off, or owned by another process");
    }
    lines.addAll(ContentDifference.of(expected.inet(), actual.inet()));
    lines.addAll(ContentDifference.of(expected.bridge(), actual.bridge()));
    return lines;
  }

  /**
   * Returns what other programs have damaged: of the chains that all packets pass, and of the
   * elements that lead from endpoints to chains. The chains of policies and their sets are not
   * looked at; {@link #difference} compares everything, which takes several times as long.
   *
   * @return the first finding, as a clause
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public Optional<String> damage(PolicyState state) throws IOException {
    if (!isEnforced(state)) {
      return Optional.empty();
    }
    StateIndex present = takeIndex(state);
    var inet = new ContentBuilder(InetTable.TABLE);
    var bridge = new ContentBuilder(BridgeTable.TABLE);
    addEndpoints(present, inet, bridge);
    LAST.set(present);
    List<Table> unusable = installed.unusable();
    if (!unusable.isEmpty()) {
      return Optional.of("table " + unusable.getFirst() + " is switched off or owned");
    }
    Optional<String> damage = installed.damage(inet.build());
    return damage.isPresent() ? damage : installed.damage(bridge.build());
  }

  /**
   * Returns whether the policies of one endpoint are in force: its elements, the chains that these
   * jump to, and the chains that all packets pass. The elements of these chains' sets are not
   * looked at; {@link #difference} compares everything.
   *
   * @param endpoint one of the state
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean isInForce(PolicyState state, Endpoint endpoint) throws IOException {
    StateIndex present = takeIndex(state);
    var inet = new ContentBuilder(InetTable.TABLE);
    var bridge = new ContentBuilder(BridgeTable.TABLE);
    InetTable.addFrame(inet);
    BridgeTable.addFrame(bridge);
    InetTable.addPort(present, endpoint.hostInterface(), inet);
    BridgeTable.addPort(present, endpoint.hostInterface(), bridge);
    for (Identity identity : Identity.of(endpoint)) {
      InetTable.addIdentity(present, identity, inet);
      BridgeTable.addIdentity(present, identity, bridge);
    }
    Selection selection = present.selection(endpoint);
    for (Direction direction : Direction.values()) {
      selection.profile(direction).ifPresent(it -> InetTable.declare(it, inet));
      selection.limits(direction).ifPresent(it -> InetTable.addLimits(it, inet));
    }
    LAST.set(present);
    return installed.unusable().isEmpty()
        && installed.contain(inet.build())
        && installed.contain(bridge.build());
  }

  /**
   * Returns what each policy has done.
   *
   * @param state the state that the tables have
   * @return by the policies' names; empty if there are no tables
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public Map<String, PolicyHits> hits(PolicyState state) throws IOException {
    if (!nftables.exists(InetTable.TABLE)) {
      return Map.of();
    }
    StateIndex present = takeIndex(state);
    LAST.set(present);
    return HitReader.read(present, nftables.counters(InetTable.TABLE));
  }

  /** Returns the index of a state, which no other thread uses. */
  private static StateIndex takeIndex(PolicyState state) {
    StateIndex known = LAST.getAndSet(null);
    return known != null && known.state().equals(state) ? known : StateIndex.of(state);
  }

  /**
   * Deletes both tables.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public void remove() throws IOException {
    var transaction = new Transaction();
    delete(transaction);
    nftables.commit(transaction);
  }
}
