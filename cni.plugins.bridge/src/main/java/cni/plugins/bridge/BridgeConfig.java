// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Dns;
import cni.api.Names;
import cni.api.PluginConfig;
import cni.api.internal.BridgeName;
import cni.netlink.ffm.route.BridgeVlan;
import cni.plugins.support.Masquerade;
import cni.plugins.support.RequestedMac;
import cni.plugins.support.RuleBackend;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The configuration of the bridge plugin, with the keys of the reference plugin.
 *
 * @param bridge the bridge's name ({@code bridge})
 * @param isGateway whether the bridge has the gateway's address ({@code isGateway})
 * @param isDefaultGateway whether the bridge is also the container's default gateway ({@code
 *     isDefaultGateway})
 * @param forceAddress whether the gateway's address replaces another one of the bridge ({@code
 *     forceAddress})
 * @param mtu of the bridge and the veth in bytes, 0 for the kernel's default ({@code mtu})
 * @param hairpinMode whether the bridge may send a packet back through the port it came from
 *     ({@code hairpinMode})
 * @param promiscMode whether the bridge is in promiscuous mode ({@code promiscMode})
 * @param vlans the VLANs of the port ({@code "vlan"}, {@code "vlanTrunk"}, {@code
 *     "preserveDefaultVlan"})
 * @param dad whether duplicate address detection is enabled for IPv6 ({@code enabledad})
 * @param containerInterfaceUp whether the container's interface is set up; false with {@code
 *     disableContainerInterface}
 * @param portIsolation whether the port only exchanges packets with ports that are not isolated
 *     ({@code portIsolation})
 * @param mac the requested hardware address of the container's interface ({@code mac})
 * @param masqueradeBackend the backend that masquerades packets leaving the network ({@code
 *     ipMasqBackend}); absent without {@code ipMasq}
 * @param spoofCheck whether frames with another source address are dropped ({@code macspoofchk})
 * @param ipam the type of the ipam plugin ({@code ipam.type})
 * @param dns for the result; overrides that of the ipam plugin ({@code dns})
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
  private static final int MAX_MTU = 65535;
  private static final int MAX_VLAN = 4094;

  /** The VLAN that the kernel assigns to new ports. */
  static final int DEFAULT_VLAN = 1;

  /**
   * The VLANs that a port is a member of.
   *
   * @param pvid the VLAN of untagged packets, 0 for none
   * @param tagged the VLANs of tagged packets, in ascending order
   * @param keepDefault whether the port keeps VLAN 1, which the kernel assigns to new ports
   */
  record PortVlans(int pvid, List<Integer> tagged, boolean keepDefault) {
    /** Whether the bridge needs VLAN filtering. */
    boolean isFiltering() {
      return pvid != 0 || !tagged.isEmpty();
    }

    /** Returns the VLANs of the port of the host's own interface in the VLAN. */
    PortVlans untaggedOnly() {
      return new PortVlans(pvid, List.of(), keepDefault);
    }

    /** Returns the VLANs of a new port with this configuration. */
    List<BridgeVlan> ofNewPort() {
      Map<Integer, BridgeVlan> vlans = new TreeMap<>();
      if (!isFiltering() || keepDefault) {
        vlans.put(DEFAULT_VLAN, new BridgeVlan(DEFAULT_VLAN, !isFiltering(), true));
      }
      if (isFiltering()) {
        tagged.forEach(id -> vlans.put(id, new BridgeVlan(id, false, false)));
        // On a trunk without "vlan", untagged packets belong to VLAN 1.
        int untagged = pvid == 0 ? DEFAULT_VLAN : pvid;
        vlans.put(untagged, new BridgeVlan(untagged, true, true));
      }
      return List.copyOf(vlans.values());
    }
  }

  /**
   * Reads a configuration. The hardware address is the first that is present of {@code
   * runtimeConfig}, {@code args.cni} and CNI_ARGS.
   *
   * @param args CNI_ARGS
   * @throws CniException code 7 if a value of the configuration is invalid, code 4 if the hardware
   *     address in CNI_ARGS is invalid
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
   * Validates a configuration, without CNI_ARGS.
   *
   * @throws CniException code 7 if a value is invalid or keys contradict each other
   */
  static void validate(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    view.ignore("addIf"); // written by kubenet and minikube, read by no version of the plugin
    Masquerade.validate(view);
    BridgeConfig parsed = parse(config, Map.of());
    parsed.requireConsistent(view);
    if (parsed.forceAddress && !parsed.isGateway) {
      view.warn("forceAddress", "has no effect without isGateway: set it, or leave this out");
    }
  }

  /** Returns the configuration of the port of the host's own interface in the VLAN. */
  BridgeConfig ofVlanInterface() {
    return new BridgeConfig(
        bridge,
        isGateway,
        isDefaultGateway,
        forceAddress,
        mtu,
        false,
        promiscMode,
        vlans.untaggedOnly(),
        dad,
        containerInterfaceUp,
        false,
        mac,
        masqueradeBackend,
        spoofCheck,
        ipam,
        dns);
  }

  /**
   * Rejects keys that contradict each other.
   *
   * @throws CniException code 7
   */
  void requireConsistent(ConfigObject view) throws CniException {
    if (hairpinMode && promiscMode) {
      throw view.invalid("hairpinMode", "cannot be combined with promiscMode; choose one");
    }
    if (ipam.isPresent() && !containerInterfaceUp) {
      throw view.invalid(
          "disableContainerInterface",
          "cannot be combined with ipam: an interface that stays down cannot use addresses");
    }
  }

  private static String bridge(ConfigObject view) throws CniException {
    String name = BridgeName.of(view);
    if (!Names.isInterfaceName(name)) {
      throw view.invalid("bridge", Names.INTERFACE_NAME_RULES.strip());
    }
    return name;
  }

  private static PortVlans vlans(ConfigObject view) throws CniException {
    int pvid = view.integer("vlan", 0, MAX_VLAN).orElse(0);
    var trunk = new TreeSet<Integer>();
    for (ConfigObject entry : view.objects("vlanTrunk")) {
      addTrunk(entry, trunk);
    }
    return new PortVlans(pvid, List.copyOf(trunk), view.bool("preserveDefaultVlan"));
  }

  private static void addTrunk(ConfigObject entry, TreeSet<Integer> trunk) throws CniException {
    if (!entry.has("id") && !entry.has("minID") && !entry.has("maxID")) {
      entry.warn("id", "is missing: the entry has no effect; give id, or minID and maxID");
    }
    if (entry.has("minID") != entry.has("maxID")) {
      throw entry.invalid(
          entry.has("minID") ? "minID" : "maxID",
          "is one end of a range; give both minID and maxID");
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
