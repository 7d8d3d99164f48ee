// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.SpecVersion;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;
import cni.netlink.ffm.nftables.Table;
import cni.runtime.CachedAttachment;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** Examines what is left of attachments that are no longer in the cache. */
final class LeakExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.ADDRESS_LEAKED, LeakExaminations::addressLeaked),
          new Examination(FindingKind.RULES_LEAKED, LeakExaminations::rulesLeaked));

  /** A younger reservation may be of an ADD of another runtime, which stores its result later. */
  private static final Duration ADD_TIME = Duration.ofSeconds(10);

  /** The versions with GC. */
  private static final Set<SpecVersion> GC = SpecVersion.since(SpecVersion.V1_1_0);

  /** The number of files that a remedy names. */
  private static final int MAX_FILES = 20;

  private LeakExaminations() {}

  /** Returns the attachments in the cache and those of ADDs that have begun. */
  private static List<CachedAttachment> known(HostView host) throws IOException, CniException {
    List<CachedAttachment> known = new ArrayList<>(host.pendingAdds());
    host.attachments().forEach(it -> known.add(it.cached()));
    return known;
  }

  /** GC frees addresses from version 1.1.0 of the specification on. */
  private static String removal(Network network, List<Reservation> leaked) throws CniException {
    boolean hasGc = network.config().versions().stream().anyMatch(GC::contains);
    if (hasGc) {
      return "cni gc " + network.name();
    }
    String files =
        leaked.stream()
            .limit(MAX_FILES)
            .map(it -> RemedyText.quoted(it.file()))
            .collect(Collectors.joining(" "));
    return RemedyText.commented(
        "rm " + files,
        leaked.size() > MAX_FILES
            ? "and the other %d; cni gc frees them from cniVersion 1.1.0 on"
                .formatted(leaked.size() - MAX_FILES)
            : "cni gc does so from cniVersion 1.1.0 on");
  }

  private static void addressLeaked(HostView host, Findings findings)
      throws IOException, CniException {
    List<CachedAttachment> known = known(host);
    for (Network network : host.networks()) {
      Optional<HostLocalRanges> ranges = HostView.ranges(network);
      if (ranges.isEmpty()) {
        continue;
      }
      List<Reservation> leaked = new ArrayList<>();
      for (Reservation reservation : host.reservations(ranges.get())) {
        boolean isHeld =
            known.stream()
                .filter(it -> it.network().equals(network.name()))
                .anyMatch(it -> reservation.isOf(it.attachment().id()));
        if (!isHeld && isOld(reservation)) {
          leaked.add(reservation);
        }
      }
      if (!leaked.isEmpty()) {
        Reservation first = leaked.getFirst();
        findings.ofNetwork(
            network.name(),
            leaked.size() == 1
                ? "an address is reserved, but no attachment has it"
                : leaked.size() + " addresses are reserved, but no attachment has them",
            "%s of %s/%s, which is not in the cache%s"
                .formatted(
                    first.file(),
                    first.containerId(),
                    first.interfaceName(),
                    leaked.size() == 1
                        ? ""
                        : "; the last is " + InetAddresses.format(leaked.getLast().address())),
            removal(network, leaked));
      }
    }
  }

  private static boolean isOld(Reservation reservation) throws IOException {
    try {
      return Files.getLastModifiedTime(reservation.file())
          .toInstant()
          .isBefore(Instant.now().minus(ADD_TIME));
    } catch (NoSuchFileException e) {
      return false; // it has just been released
    }
  }

  /** The rules of a container, and the networks that their comments name. */
  private record LeakedRules(Set<String> networks, List<InstalledRule> rules) {
    LeakedRules() {
      this(new LinkedHashSet<>(), new ArrayList<>());
    }

    void add(RuleComment comment, InstalledRule rule) {
      comment.network().ifPresent(networks::add);
      rules.add(rule);
    }
  }

  private static void rulesLeaked(HostView host, Findings findings)
      throws IOException, CniException {
    List<CachedAttachment> known = known(host);
    Map<String, LeakedRules> byContainer = new LinkedHashMap<>();
    for (Table table : host.kernel().tables()) {
      if (RuleComment.isIn(table)) {
        for (InstalledRule rule : host.kernel().rules(table)) {
          Optional<RuleComment> comment =
              IptablesRuleBuilder.commentOf(rule.rule())
                  .flatMap(it -> RuleComment.parse(table, it))
                  .filter(it -> known.stream().noneMatch(it::names));
          if (comment.isPresent()) {
            byContainer
                .computeIfAbsent(comment.get().containerId(), _ -> new LeakedRules())
                .add(comment.get(), rule);
          }
        }
      }
    }
    byContainer.forEach((container, leaked) -> report(container, leaked, findings));
  }

  private static void report(String container, LeakedRules leaked, Findings findings) {
    List<String> networks = List.copyOf(leaked.networks());
    InstalledRule first = leaked.rules().getFirst();
    int more = leaked.rules().size() - 1;
    findings.ofNetworks(
        networks,
        "rules of a container that is not attached are installed: ports or packets go astray",
        "nft -a list chain %s: handle %d is of %s%s"
            .formatted(
                first.chain(),
                first.handle(),
                container,
                more == 0 ? "" : ", and %d rules more".formatted(more)),
        remedy(networks, first));
  }

  private static String remedy(List<String> networks, InstalledRule rule) {
    String delete = "nft delete rule %s handle %d".formatted(rule.chain(), rule.handle());
    String gc = networks.stream().map(it -> "cni gc " + it).collect(Collectors.joining("; "));
    return networks.isEmpty()
        ? delete
        : RemedyText.commented(gc, "below cniVersion 1.1.0 " + delete);
  }
}
