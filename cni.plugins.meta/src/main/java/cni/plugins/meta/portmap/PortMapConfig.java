// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.api.PortMapping;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;
import cni.netlink.ffm.nftables.NftConditionParser;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.support.RuleBackend;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The configuration of the portmap plugin; keys as for the reference plugin.
 *
 * @param mappings the mapped ports (capability {@code portMappings})
 * @param snat whether connections from the container itself and from the host's 127.0.0.1, to whose
 *     source the container could not reply, are masqueraded
 * @param masqueradeAll whether connections from all sources are masqueraded ({@code masqAll})
 * @param markBit the bit of the packet mark that requests masquerading ({@code markMasqBit};
 *     iptables backend only)
 * @param setMarkChain an existing chain that sets such a mark, in place of portmap's own ({@code
 *     externalSetMarkChain}; iptables backend only)
 * @param conditionsV4 further matches for IPv4 packets, in the syntax of the backend
 * @param conditionsV6 further matches for IPv6 packets, in the syntax of the backend
 * @param backend which tables hold the rules
 */
record PortMapConfig(
    List<HostPort> mappings,
    boolean snat,
    boolean masqueradeAll,
    int markBit,
    Optional<String> setMarkChain,
    List<String> conditionsV4,
    List<String> conditionsV6,
    RuleBackend backend) {
  /** The families of the tables that hold port mappings. */
  static final List<TableFamily> FAMILIES = List.of(TableFamily.IP, TableFamily.IP6);

  private static final int MAX_DESCRIBED = 20;

  /** The reference plugin's default. Kubernetes uses bits 14 and 15, Calico 20 to 31. */
  private static final int DEFAULT_MARK_BIT = 13;

  /**
   * Reads a configuration.
   *
   * @throws CniException code 7 if a value is invalid, code 2 for a condition that is valid for nft
   *     or iptables but not supported here
   */
  static PortMapConfig parse(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    if (view.has("markMasqBit") && view.has("externalSetMarkChain")) {
      throw view.invalid("markMasqBit", "cannot be combined with externalSetMarkChain; choose one");
    }
    List<String> conditionsV4 = view.texts("conditionsV4");
    List<String> conditionsV6 = view.texts("conditionsV6");
    RuleBackend backend = chooseBackend(view, conditionsV4, conditionsV6);
    requireSupported(view, "conditionsV4", TableFamily.IP, conditionsV4, backend);
    requireSupported(view, "conditionsV6", TableFamily.IP6, conditionsV6, backend);
    return new PortMapConfig(
        parseMappings(config),
        !view.has("snat") || view.bool("snat"),
        view.bool("masqAll"),
        view.integer("markMasqBit", 0, 31).orElse(DEFAULT_MARK_BIT),
        parseSetMarkChain(view),
        conditionsV4,
        conditionsV6,
        backend);
  }

  /**
   * Reads {@code runtimeConfig.portMappings}.
   *
   * @throws CniException code 7 if a value is invalid, there are more than {@link
   *     PortMapping#MAX_PER_ATTACHMENT}, or two different entries map the same port
   */
  private static List<HostPort> parseMappings(PluginConfig config) throws CniException {
    Optional<ConfigObject> runtime = config.runtimeConfig();
    List<HostPort> mappings = new ArrayList<>();
    if (runtime.isEmpty()) {
      return mappings;
    }
    Map<Integer, List<HostPort>> byPort = new HashMap<>();
    List<ConfigObject> entries = runtime.get().objects("portMappings");
    if (entries.size() > PortMapping.MAX_PER_ATTACHMENT) {
      throw runtime
          .get()
          .invalid(
              "portMappings",
              "has %d entries; an attachment can have at most %d"
                  .formatted(entries.size(), PortMapping.MAX_PER_ATTACHMENT));
    }
    for (ConfigObject entry : entries) {
      HostPort mapping = HostPort.of(PortMapping.read(entry));
      List<HostPort> samePort =
          byPort.computeIfAbsent(mapping.hostPort(), port -> new ArrayList<>());
      for (HostPort other : samePort) {
        if (!other.equals(mapping) && matchSamePackets(other, mapping)) {
          throw entry.invalid(
              "hostPort",
              "is mapped twice: %s to container port %d and %s to %d"
                  .formatted(other, other.containerPort(), mapping, mapping.containerPort()));
        }
      }
      samePort.add(mapping);
      mappings.add(mapping);
    }
    return mappings;
  }

  /** Whether two mappings match the same packets: the kernel would only ever apply the first. */
  private static boolean matchSamePackets(HostPort a, HostPort b) {
    boolean sameFamily = FAMILIES.stream().anyMatch(it -> a.appliesTo(it) && b.appliesTo(it));
    return sameFamily
        && a.overlaps(b.protocol(), b.hostPort(), b.hostIp())
        && a.hostIp().equals(b.hostIp());
  }

  private static Optional<String> parseSetMarkChain(ConfigObject view) throws CniException {
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

  /**
   * Chooses the backend. Options that only one backend has select it unless {@code backend} is set.
   *
   * @throws CniException code 7 if options of both backends are set
   */
  private static RuleBackend chooseBackend(ConfigObject view, List<String> v4, List<String> v6)
      throws CniException {
    Optional<RuleBackend> configured = RuleBackend.parse(view, "backend");
    Optional<RuleBackend> chosen = configured;
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
                + quotedName(needed.get())
                + (configured.isPresent()
                    ? ", but \"backend\" is "
                    : ", but another option is for ")
                + quotedName(chosen.get()));
      }
      chosen = chosen.or(() -> needed);
    }
    boolean hasMarkBit = view.has("markMasqBit"); // used by the iptables backend only
    return chosen.orElse(hasMarkBit ? RuleBackend.IPTABLES : RuleBackend.AUTO);
  }

  private static String quotedName(RuleBackend backend) {
    return backend == RuleBackend.NFTABLES ? "\"nftables\"" : "\"iptables\"";
  }

  /** Conditions for iptables begin with a dash or an exclamation mark, those for nft never do. */
  private static Optional<RuleBackend> backendOfConditions(List<String> conditions) {
    if (conditions.isEmpty()) {
      return Optional.empty();
    }
    String first = conditions.getFirst();
    return Optional.of(
        first.startsWith("-") || first.startsWith("!")
            ? RuleBackend.IPTABLES
            : RuleBackend.NFTABLES);
  }

  private static void requireSupported(
      ConfigObject view,
      String key,
      TableFamily family,
      List<String> conditions,
      RuleBackend backend)
      throws CniException {
    try {
      if (backend == RuleBackend.IPTABLES) {
        IptablesConditions.parse(conditions, family);
      } else {
        NftConditionParser.append(RuleBuilder.forFamily(family), family, conditions);
      }
    } catch (IllegalArgumentException e) {
      throw view.invalid(key, String.valueOf(e.getMessage()));
    } catch (UnsupportedOperationException e) {
      throw view.unsupported(
          key, e.getMessage() + ". The portmap executable can serve this network");
    }
  }

  /** Returns the further matches for packets of a family. */
  List<String> conditions(TableFamily family) {
    return family == TableFamily.IP ? conditionsV4 : conditionsV6;
  }

  /** Returns mappings for a message, at most 20 of them: {@code [80/tcp, 81/tcp]}. */
  static String describe(List<HostPort> mappings) {
    int left = mappings.size() - MAX_DESCRIBED;
    List<HostPort> first = mappings.subList(0, Math.min(mappings.size(), MAX_DESCRIBED));
    return left > 0 ? first + " and " + left + " more" : first.toString();
  }

  /** Returns the mappings that apply to container addresses of a family. */
  List<HostPort> mappings(TableFamily family) {
    return mappings.stream().filter(mapping -> mapping.appliesTo(family)).toList();
  }
}
