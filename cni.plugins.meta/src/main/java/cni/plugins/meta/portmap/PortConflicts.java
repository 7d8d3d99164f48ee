package cni.plugins.meta.portmap;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.DnatMatch;
import cni.netlink.ffm.nftables.InstalledRule;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** Finds that a port of the host is mapped to another container already. */
final class PortConflicts {
  private PortConflicts() {}

  /**
   * Requires that none of the rules maps what one of the mappings is to map.
   *
   * @param rules what is there, of other containers
   * @param container whose a rule is
   * @throws CniException code 11 for the first that does
   */
  static void requireNoConflict(
      List<PortMapping> mappings,
      List<InstalledRule> rules,
      Function<InstalledRule, Optional<String>> container)
      throws CniException {
    for (InstalledRule rule : rules) {
      if (mappings.stream().noneMatch(it -> DnatMatch.mightMatch(rule.rule(), it.hostPort()))) {
        continue;
      }
      Optional<DnatMatch> mapped = DnatMatch.of(rule.rule());
      for (PortMapping mapping : mappings) {
        if (mapped
            .filter(it -> mapping.overlaps(it.protocol(), it.port(), it.address()))
            .isPresent()) {
          throw new CniException(
              ErrorCode.TRY_AGAIN_LATER,
              "host port %s is already mapped%s%s; choose another hostPort or hostIP, or delete that attachment first"
                  .formatted(
                      mapping,
                      mapped
                          .get()
                          .address()
                          .map(it -> " (for " + InetAddresses.format(it) + ")")
                          .orElse(""),
                      container.apply(rule).map(it -> " to container " + it).orElse("")));
        }
      }
    }
  }
}
