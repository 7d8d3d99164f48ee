package cni.plugins.chained;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Ip;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.MappedPort;
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
  static void requireNone(
      List<PortMapping> mappings,
      List<ListedRule> rules,
      Function<ListedRule, Optional<String>> container)
      throws CniException {
    for (ListedRule rule : rules) {
      if (mappings.stream().noneMatch(it -> MappedPort.mayBe(rule.rule(), it.hostPort()))) {
        continue;
      }
      Optional<MappedPort> mapped = MappedPort.of(rule.rule());
      for (PortMapping mapping : mappings) {
        if (mapped
            .filter(it -> mapping.overlaps(it.protocol(), it.port(), it.address()))
            .isPresent()) {
          throw new CniException(
              ErrorCode.TRY_AGAIN_LATER,
              "host port %s is already mapped%s%s; choose another hostPort or hostIP, or delete that attachment first"
                  .formatted(
                      mapping,
                      mapped.get().address().map(it -> " (for " + Ip.format(it) + ")").orElse(""),
                      container.apply(rule).map(it -> " to container " + it).orElse("")));
        }
      }
    }
  }
}
