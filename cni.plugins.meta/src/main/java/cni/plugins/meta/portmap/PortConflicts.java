// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.DnatMatch;
import cni.netlink.ffm.nftables.InstalledRule;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Detection of host ports that are already mapped to another container. In the kernel the first
 * matching rule wins: a second mapping of a port would silently never match.
 */
final class PortConflicts {
  /** Up to this number, it is faster to search a rule's bytes for each port than to parse it. */
  static final int MAX_SEARCHED_MAPPINGS = 8;

  private PortConflicts() {}

  /**
   * Requires that no rule maps a port that one of the mappings maps.
   *
   * @param rules the installed rules of other containers
   * @param containerOf returns the container that a rule belongs to, for the message
   * @throws CniException code 11 for the first conflict
   */
  static void requireNoConflict(
      List<HostPort> mappings,
      List<InstalledRule> rules,
      Function<InstalledRule, Optional<String>> containerOf)
      throws CniException {
    boolean few = mappings.size() <= MAX_SEARCHED_MAPPINGS;
    Map<Integer, List<HostPort>> byPort =
        mappings.stream().collect(Collectors.groupingBy(HostPort::hostPort));
    for (InstalledRule rule : rules) {
      if (few
          && mappings.stream().noneMatch(it -> DnatMatch.mightMatch(rule.rule(), it.hostPort()))) {
        continue;
      }
      Optional<DnatMatch> mapped = DnatMatch.of(rule.rule());
      if (mapped.isPresent()) {
        for (HostPort mapping : byPort.getOrDefault(mapped.get().port(), List.of())) {
          DnatMatch other = mapped.get();
          if (mapping.overlaps(other.protocol(), other.port(), other.address())) {
            throw conflict(mapping, other, containerOf.apply(rule));
          }
        }
      }
    }
  }

  private static CniException conflict(
      HostPort mapping, DnatMatch mapped, Optional<String> container) {
    return new CniException(
        ErrorCode.TRY_AGAIN_LATER,
        "host port %s is already mapped%s%s; choose another hostPort or hostIP, or delete that attachment first"
            .formatted(
                mapping,
                mapped.address().map(it -> " (for " + InetAddresses.format(it) + ")").orElse(""),
                container.map(it -> " to container " + it).orElse("")));
  }
}
