package cni.plugins.bridge;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Dns;
import cni.api.Names;
import cni.api.PluginConfig;
import cni.plugins.support.Masquerade;
import cni.plugins.support.RequestedMac;
import cni.plugins.support.RuleBackend;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/**
 * The configuration of the bridge plugin; keys as for the reference plugin.
 *
 * @param bridge the bridge's name ({@code bridge})
 * @param isGateway whether the bridge has the gateway's address ({@code isGateway})
 * @param isDefaultGateway whether it is the container's default route, too
 * @param forceAddress whether another address of the bridge gives way to the gateway's
 * @param mtu of the bridge and the veth in bytes, 0 for the kernel's choice
 * @param hairpinMode whether a packet may leave by the port that it came in by ({@code
 *     hairpinMode})
 * @param promiscMode whether the bridge takes every packet ({@code promiscMode})
 * @param vlans what the port lets through
 * @param dad whether IPv6 addresses are checked for duplicates ({@code enabledad})
 * @param containerInterfaceUp whether the container's interface is set up; not with {@code
 *     disableContainerInterface}
 * @param portIsolation whether the port may only talk to ports that are not ({@code portIsolation})
 * @param mac the hardware address of the container's interface
 * @param masqueradeBackend where rules say that packets that leave the network get the host's
 *     address; absent without {@code ipMasq}
 * @param spoofCheck whether packets with another hardware address are dropped ({@code macspoofchk})
 * @param ipam the type of the plugin that gives out addresses
 * @param dns for the result, in place of what the ipam plugin says
 */
record BridgeConfig(
    String bridge,
    boolean isGateway,
    boolean isDefaultGateway,
    boolean forceAddress,
    int mtu,
    boolean hairpinMode,
    boolean promiscMode,
    PortVlans vlans,
    boolean dad,
    boolean containerInterfaceUp,
    boolean portIsolation,
    Optional<String> mac,
    Optional<RuleBackend> masqueradeBackend,
    boolean spoofCheck,
    Optional<String> ipam,
    Dns dns) {
  private static final String DEFAULT_BRIDGE = "cni0";
  private static final int MAX_MTU = 65535;
  private static final int MAX_VLAN = 4094;

  /**
   * Which VLANs a port lets through.
   *
   * @param pvid the one that untagged packets belong to, 0 for none
   * @param tagged those that pass with their tags
   * @param keepDefault whether VLAN 1 stays as the bridge sets it
   */
  record PortVlans(int pvid, List<Integer> tagged, boolean keepDefault) {
    /** No VLANs. */
    static final PortVlans NONE = new PortVlans(0, List.of(), false);

    /** Whether the bridge has to tell VLANs apart. */
    boolean isFiltering() {
      return pvid != 0 || !tagged.isEmpty();
    }
  }

  /**
   * Reads a configuration. For the hardware address the runtime's wish counts most, then that of
   * {@code args}, then that of CNI_ARGS.
   *
   * @param args CNI_ARGS
   * @throws CniException code 7 if a value makes no sense, code 4 if CNI_ARGS does not
   */
  static BridgeConfig parse(PluginConfig config, Map<String, String> args) throws CniException {
    ConfigObject view = config.view();
    boolean defaultGateway = view.bool("isDefaultGateway");
    return new BridgeConfig(
        bridge(view),
        view.bool("isGateway") || defaultGateway,
        defaultGateway,
        view.bool("forceAddress"),
        view.integer("mtu", 0, MAX_MTU).orElse(0),
        view.bool("hairpinMode"),
        view.bool("promiscMode"),
        vlans(view),
        view.bool("enabledad"),
        !view.bool("disableContainerInterface"),
        view.bool("portIsolation"),
        RequestedMac.of(List.of(config.runtimeConfig(), config.args()), args),
        Masquerade.requestedBackend(view),
        view.bool("macspoofchk"),
        config.ipamType(),
        config.dns());
  }

  /**
   * Refuses what cannot be combined, before ADD begins.
   *
   * @throws CniException code 7 for a contradiction
   */
  void requireConsistent(ConfigObject view) throws CniException {
    if (hairpinMode && promiscMode) {
      throw view.invalid("hairpinMode", "cannot go together with promiscMode; choose one");
    }
    if (ipam.isPresent() && !containerInterfaceUp) {
      throw view.invalid(
          "disableContainerInterface",
          "cannot go together with ipam: an interface that stays down has no use for addresses");
    }
  }

  /**
   * The bridge's name, whether it can be one or not.
   *
   * @throws CniException code 7 if it is not a string
   */
  static String bridgeName(ConfigObject view) throws CniException {
    return view.nonEmpty("bridge").orElse(DEFAULT_BRIDGE);
  }

  private static String bridge(ConfigObject view) throws CniException {
    String name = bridgeName(view);
    if (!Names.isInterfaceName(name)) {
      throw view.invalid("bridge", Names.INTERFACE_NAME_RULES.strip());
    }
    return name;
  }

  private static PortVlans vlans(ConfigObject view) throws CniException {
    int own = view.integer("vlan", 0, MAX_VLAN).orElse(0);
    var trunk = new TreeSet<Integer>();
    for (ConfigObject entry : view.objects("vlanTrunk")) {
      addTrunk(entry, trunk);
    }
    return new PortVlans(own, List.copyOf(trunk), view.bool("preserveDefaultVlan"));
  }

  private static void addTrunk(ConfigObject entry, TreeSet<Integer> trunk) throws CniException {
    if (entry.has("minID") != entry.has("maxID")) {
      throw entry.invalid(
          entry.has("minID") ? "minID" : "maxID", "needs the other end: give minID and maxID");
    }
    if (entry.has("minID")) {
      int min = entry.integer("minID", 1, MAX_VLAN).orElseThrow();
      int max = entry.integer("maxID", 1, MAX_VLAN).orElseThrow();
      if (max < min) {
        throw entry.invalid("minID", "is greater than maxID " + max);
      }
      for (int id = min; id <= max; id++) {
        trunk.add(id);
      }
    }
    entry.integer("id", 1, MAX_VLAN).ifPresent(trunk::add);
  }
}
