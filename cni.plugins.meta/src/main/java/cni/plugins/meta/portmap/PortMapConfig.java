package cni.plugins.meta.portmap;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;
import cni.netlink.ffm.nftables.NftConditionParser;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.support.RuleBackend;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The configuration of portmap; keys as for the reference plugin.
 *
 * @param mappings what leads where ({@code portMappings} of the runtime)
 * @param snat whether what comes from the container itself or from the host's 127.0.0.1 gets an
 *     address that can be answered to
 * @param masqueradeAll whether everything does ({@code masqAll})
 * @param markBit of a packet's mark, says that it does ({@code markMasqBit}, for iptables)
 * @param setMarkChain a chain of somebody else's that sets such a mark ({@code
 *     externalSetMarkChain}, for iptables)
 * @param conditionsV4 what else must hold of an IPv4 packet, in words of the backend
 * @param conditionsV6 what else must hold of an IPv6 packet
 * @param backend where the rules are
 */
record PortMapConfig(
    List<PortMapping> mappings,
    boolean snat,
    boolean masqueradeAll,
    int markBit,
    Optional<String> setMarkChain,
    List<String> conditionsV4,
    List<String> conditionsV6,
    RuleBackend backend) {
  /** Kubernetes uses bits 14 and 15, Calico 20 to 31. */
  private static final int DEFAULT_MARK_BIT = 13;

  /**
   * Reads a configuration.
   *
   * @throws CniException code 7 if a value makes no sense, code 2 for a condition that only nft or
   *     iptables can read
   */
  static PortMapConfig parse(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    if (view.has("markMasqBit") && view.has("externalSetMarkChain")) {
      throw view.invalid("markMasqBit", "cannot go together with externalSetMarkChain; choose one");
    }
    List<String> conditionsV4 = view.texts("conditionsV4");
    List<String> conditionsV6 = view.texts("conditionsV6");
    RuleBackend backend = backend(view, conditionsV4, conditionsV6);
    requireSupported(view, "conditionsV4", conditionsV4, backend);
    requireSupported(view, "conditionsV6", conditionsV6, backend);
    return new PortMapConfig(
        mappings(config),
        !view.has("snat") || view.bool("snat"),
        view.bool("masqAll"),
        view.integer("markMasqBit", 0, 31).orElse(DEFAULT_MARK_BIT),
        setMarkChain(view),
        conditionsV4,
        conditionsV6,
        backend);
  }

  /**
   * Reads what the runtime wants mapped.
   *
   * @throws CniException code 7 if a value makes no sense, or two entries map the same port
   */
  private static List<PortMapping> mappings(PluginConfig config) throws CniException {
    Optional<ConfigObject> runtime = config.runtimeConfig();
    List<PortMapping> mappings = new ArrayList<>();
    if (runtime.isEmpty()) {
      return mappings;
    }
    for (ConfigObject entry : runtime.get().objects("portMappings")) {
      PortMapping mapping = PortMapping.parse(entry);
      for (PortMapping other : mappings) {
        if (!other.equals(mapping) && matchSamePackets(other, mapping)) {
          throw entry.invalid(
              "hostPort",
              "is mapped twice: %s to container port %d and %s to %d"
                  .formatted(other, other.containerPort(), mapping, mapping.containerPort()));
        }
      }
      mappings.add(mapping);
    }
    return mappings;
  }

  /** The kernel would only ever see the first of two that are for the very same packets. */
  private static boolean matchSamePackets(PortMapping a, PortMapping b) {
    boolean family =
        (a.appliesTo(true) && b.appliesTo(true)) || (a.appliesTo(false) && b.appliesTo(false));
    return family
        && a.overlaps(b.protocol(), b.hostPort(), b.hostIp())
        && a.hostIp().equals(b.hostIp());
  }

  private static Optional<String> setMarkChain(ConfigObject view) throws CniException {
    Optional<String> chain = view.text("externalSetMarkChain");
    if (chain.isPresent()
        && (chain.get().isEmpty()
            || chain.get().length() > IptablesRuleBuilder.MAX_CHAIN_NAME_LENGTH)) {
      throw view.invalid(
          "externalSetMarkChain",
          "must have 1 to " + IptablesRuleBuilder.MAX_CHAIN_NAME_LENGTH + " characters");
    }
    return chain;
  }

  /** Some options have a meaning for one backend only, and choose it if nothing else does. */
  private static RuleBackend backend(ConfigObject view, List<String> v4, List<String> v6)
      throws CniException {
    Optional<RuleBackend> asked = RuleBackend.parse(view, "backend");
    Optional<RuleBackend> chosen = asked;
    for (String key : List.of("externalSetMarkChain", "conditionsV4", "conditionsV6")) {
      Optional<RuleBackend> needed =
          switch (key) {
            case "conditionsV4" -> backendOfConditions(v4);
            case "conditionsV6" -> backendOfConditions(v6);
            default -> view.has(key) ? Optional.of(RuleBackend.IPTABLES) : Optional.empty();
          };
      if (needed.isPresent() && chosen.isPresent() && !needed.equals(chosen)) {
        throw view.invalid(
            key,
            "is for backend "
                + name(needed.get())
                + (asked.isPresent() ? ", but \"backend\" is " : ", but another option is for ")
                + name(chosen.get()));
      }
      chosen = chosen.or(() -> needed);
    }
    boolean marks = view.has("markMasqBit"); // which means nothing to the other
    return chosen.orElse(marks ? RuleBackend.IPTABLES : RuleBackend.NFTABLES);
  }

  private static String name(RuleBackend backend) {
    return backend == RuleBackend.NFTABLES ? "\"nftables\"" : "\"iptables\"";
  }

  /** Conditions of iptables begin with a dash or an exclamation mark, those of nft never do. */
  private static Optional<RuleBackend> backendOfConditions(List<String> conditions) {
    if (conditions.isEmpty() || conditions.getFirst().isEmpty()) {
      return Optional.empty();
    }
    char first = conditions.getFirst().charAt(0);
    return Optional.of(first == '-' || first == '!' ? RuleBackend.IPTABLES : RuleBackend.NFTABLES);
  }

  private static void requireSupported(
      ConfigObject view, String key, List<String> words, RuleBackend backend) throws CniException {
    boolean v4 = key.equals("conditionsV4");
    try {
      if (backend == RuleBackend.IPTABLES) {
        IptablesConditions.parse(words, v4);
      } else {
        TableFamily family = v4 ? TableFamily.IP : TableFamily.IP6;
        NftConditionParser.append(RuleBuilder.forFamily(family), family, words);
      }
    } catch (IllegalArgumentException e) {
      throw view.invalid(key, String.valueOf(e.getMessage()));
    } catch (UnsupportedOperationException e) {
      throw view.unsupported(
          key, e.getMessage() + ". The portmap executable can serve this network");
    }
  }

  /** What else must hold of a packet of that family. */
  List<String> conditions(boolean v4) {
    return v4 ? conditionsV4 : conditionsV6;
  }

  /** The mappings that are for addresses of that family. */
  List<PortMapping> mappings(boolean v4) {
    return mappings.stream().filter(mapping -> mapping.appliesTo(v4)).toList();
  }
}
