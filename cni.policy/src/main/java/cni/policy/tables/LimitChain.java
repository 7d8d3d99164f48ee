// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.TableContent.ChainContent;
import cni.netlink.ffm.nftables.TableContent.NamedLimit;
import cni.netlink.ffm.nftables.TableFamily;
import cni.policy.Direction;
import cni.policy.Policy;
import cni.policy.RateLimit;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The limits of what some containers receive or send, as one chain. Each limit is an object that
 * the chains share, so that it limits all containers of the policy together.
 *
 * @param chain the name of the chain
 * @param policies the policies that the limits are of, in the order of the rules
 * @param limits the limits by the names of their objects. The values are part of the name, because
 *     the kernel cannot change those of an object
 */
record LimitChain(
    String chain,
    Direction direction,
    List<String> policies,
    SortedMap<String, NamedLimit> limits) {
  /** NFT_OBJ_MAXNAMELEN of linux/netfilter/nf_tables.h is 256; this leaves room for the rest. */
  private static final int MAX_POLICY_NAME = 200;

  /** Returns the limits of policies; empty if they have none. */
  static Optional<LimitChain> of(Direction direction, List<Policy> policies) {
    SortedMap<String, NamedLimit> limits = new TreeMap<>();
    SortedMap<String, String> names = new TreeMap<>();
    for (Policy policy : policies) {
      RateLimit limit = policy.limits().get(direction);
      if (limit != null) {
        String name = objectName(policy.name(), direction, limit);
        names.put(name, policy.name());
        limits.put(
            name, new NamedLimit(Math.max(1, limit.rate() / Byte.SIZE), limit.burst() / Byte.SIZE));
      }
    }
    if (limits.isEmpty()) {
      return Optional.empty();
    }
    String prefix = direction == Direction.INGRESS ? "limit-in-" : "limit-out-";
    String chain = prefix + ChainNames.id(List.copyOf(limits.keySet()));
    return Optional.of(new LimitChain(chain, direction, List.copyOf(names.values()), limits));
  }

  private static String objectName(String policy, Direction direction, RateLimit limit) {
    String text = policy + " " + limit.rate() + " " + limit.burst();
    String start = policy.substring(0, Math.min(policy.length(), MAX_POLICY_NAME));
    String word = direction.key();
    return start + "-" + word + "-" + ChainNames.id(List.of(text));
  }

  /** Returns the rules of the chain. */
  ChainContent content() {
    List<Rule> rules = new ArrayList<>();
    for (String limit : limits.keySet()) {
      rules.add(
          RuleBuilder.forFamily(TableFamily.INET)
              .above(limit)
              .counter()
              .append(Verdict.DROP)
              .build());
    }
    return new ChainContent(Optional.empty(), rules);
  }
}
