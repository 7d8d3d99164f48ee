// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import java.io.IOException;
import java.util.OptionalInt;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A change of the ruleset that is planned first, committed later as one transaction, and can be
 * undone. If another process changes the ruleset between plan and commit, it is planned again. Not
 * safe for use by several threads at once.
 *
 * @param <E> what the planner throws besides IOException
 */
public final class RulesetUpdate<E extends Exception> {
  private final NftablesSocket nftables;
  private final RulesetReconciler.Planner<E> planner;
  private final Predicate<InstalledRule> isOwn;
  private @Nullable RulesetReconciler planned;
  private @Nullable RulesetReconciler committed;
  private OptionalInt generation = OptionalInt.empty();

  /**
   * Creates an update without changes.
   *
   * @param planner plans the changes, when they are planned and again when the ruleset has changed
   * @param isOwn matches the rules that only the owner of this update relies on
   */
  public RulesetUpdate(
      NftablesSocket nftables,
      RulesetReconciler.Planner<E> planner,
      Predicate<InstalledRule> isOwn) {
    this.nftables = nftables;
    this.planner = planner;
    this.isOwn = isOwn;
  }

  /**
   * Plans the changes.
   *
   * @param appliesSoon whether {@link #apply} is going to follow: the generation of the ruleset is
   *     read as well, and {@code apply} lists the ruleset again only if it has changed
   * @throws IOException if the kernel refuses, or the socket fails
   * @throws E if the planner does
   */
  public RulesetReconciler plan(boolean appliesSoon) throws IOException, E {
    generation = appliesSoon ? OptionalInt.of(nftables.generation()) : OptionalInt.empty();
    var reconciler = new RulesetReconciler(nftables);
    planner.plan(reconciler);
    planned = reconciler;
    return reconciler;
  }

  /**
   * Commits the changes.
   *
   * @throws NetlinkException if the kernel refuses a change; none has been made
   * @throws IOException if the socket fails
   * @throws E if the planner does
   */
  public void apply() throws IOException, E {
    if (!commitPlanned()) {
      committed = RulesetReconciler.update(nftables, planner);
    }
  }

  private boolean commitPlanned() throws IOException {
    RulesetReconciler plan = planned;
    if (plan == null || generation.isEmpty()) {
      return false;
    }
    try {
      nftables.commit(plan.transaction(), generation);
      committed = plan;
      return true;
    } catch (NetlinkException e) {
      if (e.is(Errno.ERESTART) || e.is(Errno.EBUSY)) {
        return false;
      }
      throw e;
    } finally {
      planned = null;
    }
  }

  /**
   * Restores the rules that were there before {@link #apply}, in their order. Rules that others
   * have added or deleted since then are left as they are.
   *
   * @throws NetlinkException if the kernel refuses a change; none has been made
   * @throws IOException if the socket fails
   */
  public void undo() throws IOException {
    RulesetReconciler changes = committed;
    if (changes != null) {
      nftables.<IOException>update(socket -> new RulesetUndo(socket, changes, isOwn).plan());
      committed = null;
    }
  }
}
