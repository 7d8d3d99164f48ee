// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.Peer;
import cni.policy.Policy;
import cni.policy.PortMatch;
import cni.policy.RateLimit;
import cni.policy.Selector;
import cni.policy.TrafficRule;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Policies in words. */
final class PolicyText {
  private static final String[] RATE_UNITS = {"bit", "kbit", "Mbit", "Gbit"};

  private PolicyText() {}

  /** Returns which attachments a policy selects. */
  static String selection(Policy policy) {
    return group("attachments", policy.selector(), policy.networks());
  }

  private static String group(String noun, Selector selector, Collection<String> networks) {
    List<String> conditions = conditions(selector);
    String labels = conditions.isEmpty() ? "all " + noun : noun + " with " + join(conditions);
    return networks.isEmpty()
        ? labels
        : labels
            + (networks.size() == 1 ? " of network " : " of networks ")
            + join(new TreeSet<>(networks));
  }

  private static List<String> conditions(Selector selector) {
    List<String> conditions = new ArrayList<>();
    new TreeMap<>(selector.matchLabels())
        .forEach((key, value) -> conditions.add(key + "=" + value));
    for (Selector.Requirement it : selector.matchExpressions()) {
      String values = "(" + join(new TreeSet<>(it.values())) + ")";
      conditions.add(
          switch (it.operator()) {
            case IN -> it.key() + " in " + values;
            case NOT_IN -> it.key() + " not in " + values;
            case EXISTS -> "any " + it.key();
            case DOES_NOT_EXIST -> "no " + it.key();
          });
    }
    return conditions;
  }

  private static String join(Collection<String> words) {
    return String.join(", ", words);
  }

  /** Returns what a policy allows and limits, as lines. */
  static List<String> lines(Policy policy) {
    List<String> lines = new ArrayList<>();
    for (Direction direction : Direction.values()) {
      List<TrafficRule> rules = policy.rules().get(direction);
      if (rules != null) {
        String name = name(direction);
        if (rules.isEmpty()) {
          lines.add(name + ": nothing is allowed");
        }
        for (int i = 0; i < rules.size(); i++) {
          lines.add("%s[%d]: allows %s".formatted(name, i, rule(rules.get(i), direction)));
        }
      }
    }
    for (Direction direction : Direction.values()) {
      RateLimit limit = policy.limits().get(direction);
      if (limit != null) {
        lines.add(
            "%s limit: %s/s for all of them together, bursts of %s"
                .formatted(name(direction), bits(limit.rate()), bits(limit.burst())));
      }
    }
    return lines;
  }

  /** Returns the name of a direction. */
  static String name(Direction direction) {
    return direction.key();
  }

  private static String rule(TrafficRule rule, Direction direction) {
    String ports =
        rule.ports().isEmpty()
            ? "everything"
            : rule.ports().stream().map(PolicyText::port).collect(Collectors.joining(", "));
    String peers =
        rule.peers().isEmpty()
            ? "anyone"
            : rule.peers().stream().map(PolicyText::peer).collect(Collectors.joining(" or "));
    return ports + (direction == Direction.INGRESS ? " from " : " to ") + peers;
  }

  private static String port(PortMatch port) {
    return switch (port) {
      case PortMatch.All all -> "all " + all.protocol();
      case PortMatch.Named named -> named.protocol() + " port \"" + named.name() + "\"";
      case PortMatch.Range range ->
          range.first() == range.last()
              ? range.protocol() + " " + range.first()
              : range.protocol() + " " + range.first() + "-" + range.last();
    };
  }

  private static String peer(Peer peer) {
    return switch (peer) {
      case Peer.Group group -> group("containers", group.selector(), group.networks());
      case Peer.Block block ->
          block.cidr()
              + (block.except().isEmpty()
                  ? ""
                  : " except " + join(block.except().stream().map(Cidr::toString).toList()));
    };
  }

  private static String bits(long bits) {
    int unit = 0;
    long value = bits;
    while (value >= 1000 && value % 1000 == 0 && unit < RATE_UNITS.length - 1) {
      value /= 1000;
      unit++;
    }
    return value + " " + RATE_UNITS[unit];
  }

  /** Returns the name of an attachment, as arguments of commands name it. */
  static String name(Endpoint.Id id) {
    return id.network() + "/" + id.containerId() + "/" + id.ifname();
  }

  /** Returns labels as arguments of commands name them; "no labels" if there are none. */
  static String labels(Map<String, String> labels) {
    return labels.isEmpty()
        ? "no labels"
        : new TreeMap<>(labels)
            .entrySet().stream()
                .map(it -> it.getKey() + "=" + it.getValue())
                .collect(Collectors.joining(","));
  }

  /** Returns the addresses of an attachment. */
  static String addresses(Endpoint endpoint) {
    return endpoint.addresses().stream()
        .map(it -> InetAddresses.format(it.address()))
        .collect(Collectors.joining(" "));
  }
}
