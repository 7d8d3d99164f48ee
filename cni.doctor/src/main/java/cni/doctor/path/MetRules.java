// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.RuleText;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TraceEvent;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The rules that the packets of a probe met, read while they are in force. */
final class MetRules {
  private record Place(NamespaceView view, Chain chain) {}

  private final Map<Place, List<InstalledRule>> chains = new HashMap<>();

  MetRules(List<Sighting> sightings, List<FlowTracer> tracers) throws IOException {
    for (Sighting it : sightings) {
      var place = new Place(it.view(), it.event().chain());
      if (it.marker().isEmpty() && !chains.containsKey(place)) {
        for (FlowTracer tracer : tracers) {
          if (tracer.isOf(it.view())) {
            chains.put(place, tracer.nftables().rules(it.event().chain()));
          }
        }
      }
    }
  }

  /** Returns the rule of an event; empty for the end of a chain, or if it was deleted since. */
  private Optional<InstalledRule> rule(Sighting sighting) {
    var place = new Place(sighting.view(), sighting.event().chain());
    return chains.getOrDefault(place, List.of()).stream()
        .filter(it -> it.handle() == sighting.event().ruleHandle())
        .findFirst();
  }

  /** Returns what was decided, as a noun phrase: {@code rule "…" of chain ip filter FORWARD}. */
  String describe(Sighting sighting) {
    Chain chain = sighting.event().chain();
    if (sighting.event().step() == TraceEvent.Step.POLICY) {
      return "policy drop of chain " + chain;
    }
    String text =
        rule(sighting).map(RuleText::of).orElse("handle " + sighting.event().ruleHandle());
    return "rule \"" + text + "\" of chain " + chain;
  }

  /** Returns whether a rule of the chains that were met in a table jumps to another chain. */
  boolean lead(Table table, String chain) {
    return chains.entrySet().stream()
        .filter(it -> it.getKey().chain().table().equals(table))
        .flatMap(it -> it.getValue().stream())
        .anyMatch(it -> it.rule().jumpsTo(chain));
  }

  /** Returns the comment of the rule of an event; empty if there is none. */
  Optional<String> comment(Sighting sighting) {
    return rule(sighting).flatMap(it -> it.rule().userdata().comment());
  }

  /** Returns the text of a rule that accepts, drops or translates; empty for all other events. */
  Optional<String> decision(Sighting sighting) {
    TraceEvent event = sighting.event();
    if (event.step() != TraceEvent.Step.RULE || sighting.marker().isPresent()) {
      return Optional.empty();
    }
    Optional<InstalledRule> rule = rule(sighting);
    boolean decides =
        event.verdict() != TraceEvent.Verdict.CONTINUE
            || rule.filter(MetRules::translates).isPresent();
    return decides
        ? Optional.of(
            event.chain() + ": " + rule.map(RuleText::of).orElse("handle " + event.ruleHandle()))
        : Optional.empty();
  }

  private static boolean translates(InstalledRule rule) {
    return rule.rule().expressions().stream()
        .anyMatch(
            it ->
                it instanceof Expression.Nat
                    || it instanceof Expression.Masq
                    || it instanceof Expression.Redirect);
  }
}
