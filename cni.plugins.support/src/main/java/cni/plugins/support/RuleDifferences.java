package cni.plugins.support;

import cni.api.Differences;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.RulesetReconciler;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** The differences between the rules of a plugin and the desired ones: one change for all. */
public final class RuleDifferences {
  private RuleDifferences() {}

  /**
   * Adds the changes of a plan, if it has any, as one difference.
   *
   * @param plan what {@link cni.netlink.ffm.nftables.RulesetUpdate#plan} returned
   * @param consequence what does not work before the change, for the finding: {@code ports [80/tcp]
   *     are not mapped as they should be}
   * @param description what the change does, in the imperative: {@code map ports [80/tcp]}
   */
  public static void add(
      Differences differences,
      RulesetReconciler plan,
      String consequence,
      String description,
      Differences.Action apply,
      Differences.Action undo) {
    if (!plan.transaction().isEmpty()) {
      differences
          .of(Differences.Kind.RULE)
          .add(
              finding(plan, consequence),
              "%s (rules: %d added, %d deleted)"
                  .formatted(description, plan.added().size(), plan.deleted().size()),
              apply,
              undo);
    }
  }

  /** Returns the finding of a plan, which names the chains of missing or surplus rules. */
  public static String finding(RulesetReconciler plan, String consequence) {
    List<String> parts = new ArrayList<>();
    if (!plan.added().isEmpty()) {
      parts.add("missing is " + chains(plan.added()));
    }
    if (!plan.deleted().isEmpty()) {
      parts.add("not needed is " + chains(plan.deleted()));
    }
    String difference = parts.isEmpty() ? "a chain is missing" : String.join("; ", parts);
    return consequence + ": " + difference;
  }

  private static String chains(List<InstalledRule> rules) {
    return rules.stream()
        .map(rule -> "a rule of chain \"" + rule.chain() + "\"")
        .distinct()
        .collect(Collectors.joining(", "));
  }
}
