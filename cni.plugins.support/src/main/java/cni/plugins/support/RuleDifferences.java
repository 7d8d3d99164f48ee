// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.Differences;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.RuleText;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.Userdata;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** The differences between the rules of a plugin and the desired ones: one change for all. */
public final class RuleDifferences {
  /** How many rules a finding quotes; a container with a hundred ports has hundreds of rules. */
  private static final int MAX_RULES = 4;

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

  /** Returns the finding of a plan, with the missing and surplus rules and their chains. */
  public static String finding(RulesetReconciler plan, String consequence) {
    List<String> parts = new ArrayList<>();
    if (!plan.added().isEmpty()) {
      parts.add("missing is " + describe(plan.added()));
    }
    if (!plan.deleted().isEmpty()) {
      parts.add("not needed is " + describe(plan.deleted()));
    }
    String difference = parts.isEmpty() ? "a chain is missing" : String.join("; ", parts);
    return consequence + ": " + difference;
  }

  /** Quotes the rules of the attachment itself first, then those that attachments share. */
  private static String describe(List<InstalledRule> rules) {
    List<InstalledRule> ordered = new ArrayList<>(rules);
    ordered.sort((one, other) -> Boolean.compare(isShared(one), isShared(other)));
    String named =
        ordered.stream()
            .limit(MAX_RULES)
            .map(rule -> "\"%s\" in chain %s".formatted(RuleText.brief(rule), rule.chain()))
            .distinct()
            .collect(Collectors.joining(", "));
    return rules.size() <= MAX_RULES
        ? named
        : named + " and %d more".formatted(rules.size() - MAX_RULES);
  }

  private static boolean isShared(InstalledRule rule) {
    return rule.rule().userdata().equals(Userdata.NONE);
  }
}
