// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.Capability;
import cni.api.CapabilityArgs;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.internal.Excerpt;
import cni.api.internal.NearestName;
import cni.api.internal.NullChecks;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The capabilities that the plugins of a network declare (SPEC section 1, {@code capabilities}):
 * the capability arguments that it takes.
 */
public final class NetworkCapabilities {
  private final List<NetworkConfig> networks;
  private final Map<String, List<String>> pluginsByCapability = new LinkedHashMap<>();

  private NetworkCapabilities(List<NetworkConfig> networks) throws CniException {
    this.networks = networks;
    for (NetworkConfig network : networks) {
      for (PluginConfig plugin : network.plugins()) {
        for (String capability : plugin.capabilities()) {
          List<String> types =
              pluginsByCapability.computeIfAbsent(capability, _ -> new ArrayList<>());
          if (!types.contains(plugin.type())) {
            types.add(plugin.type());
          }
        }
      }
    }
  }

  static NetworkCapabilities of(NetworkConfig network) throws CniException {
    return new NetworkCapabilities(List.of(network));
  }

  /**
   * Returns the capabilities that any of several networks declares.
   *
   * @throws CniException code 7 if the {@code capabilities} of a plugin are malformed
   */
  public static NetworkCapabilities ofAny(List<Network> networks) throws CniException {
    NullChecks.requireElements(networks, "networks");
    return new NetworkCapabilities(networks.stream().map(Network::config).toList());
  }

  /**
   * Returns the arguments of each of several networks that one container is attached to: those that
   * it declares. What only one interface can have ({@link Capability#isExclusive}) goes to the
   * first network that declares it.
   *
   * @throws CniException code 4 if there is an argument that no network declares
   */
  public static List<CapabilityArgs> distribute(CapabilityArgs args, List<Network> networks)
      throws CniException {
    requireNonNull(args, "args");
    NullChecks.requireElements(networks, "networks");
    if (args.isEmpty()) {
      return Collections.nCopies(networks.size(), CapabilityArgs.NONE);
    }
    ofAny(networks).require(args.names());
    List<CapabilityArgs> distributed = new ArrayList<>();
    Set<String> left = new HashSet<>(args.names());
    for (Network network : networks) {
      Set<String> declared = network.capabilities().names();
      CapabilityArgs own = args.only(left).only(declared);
      distributed.add(own);
      left.removeIf(
          name ->
              declared.contains(name)
                  && Capability.of(name).filter(Capability::isExclusive).isPresent());
    }
    return distributed;
  }

  /** Returns the names of the capabilities, in the order of the chain. */
  public Set<String> names() {
    return Collections.unmodifiableSet(pluginsByCapability.keySet());
  }

  /** Returns the types of the plugins that declare a capability; empty if none does. */
  public List<String> plugins(String capability) {
    requireNonNull(capability, "capability");
    return List.copyOf(pluginsByCapability.getOrDefault(capability, List.of()));
  }

  /**
   * Requires that every given capability is declared.
   *
   * @throws CniException code 4 for the first one that no plugin declares; the message lists those
   *     that are declared, the nearest, and the plugin that would have to declare it
   */
  public void require(Collection<String> capabilities) throws CniException {
    NullChecks.requireElements(capabilities, "capabilities");
    for (String capability : capabilities) {
      if (!pluginsByCapability.containsKey(capability)) {
        throw new CniException(ErrorCode.INVALID_PARAMETER, undeclared(capability));
      }
    }
  }

  private String undeclared(String capability) throws CniException {
    String names = networks.stream().map(NetworkConfig::name).collect(Collectors.joining(", "));
    if (networks.isEmpty()) {
      return "there is no network that takes capability " + Excerpt.of(capability);
    }
    String subject =
        networks.size() == 1 ? "network " + names + " takes" : "networks " + names + " take";
    return "%s no capability %s; %s%s"
        .formatted(subject, Excerpt.of(capability), declared(), suggestion(capability));
  }

  private String declared() {
    if (pluginsByCapability.isEmpty()) {
      return "no plugin declares any";
    }
    return "the plugins declare "
        + pluginsByCapability.entrySet().stream()
            .map(it -> it.getKey() + " (" + String.join(", ", it.getValue()) + ")")
            .collect(Collectors.joining(", "));
  }

  /** Returns the end of the message: what was meant, or how the capability is declared. */
  private String suggestion(String capability) throws CniException {
    Optional<String> nearest = NearestName.of(capability, pluginsByCapability.keySet());
    if (nearest.isPresent()) {
      return ". Did you mean " + nearest.get() + "?";
    }
    Optional<Capability> known = Capability.nearest(capability);
    if (known.isEmpty()) {
      return "";
    }
    boolean isMisspelt = !known.get().key().equals(capability);
    String meant = isMisspelt ? ". Did you mean " + known.get().key() + "?" : ".";
    Optional<String> able = pluginWith(known.get());
    if (able.isEmpty()) {
      return isMisspelt ? meant : "";
    }
    return "%s To enable it, add \"capabilities\": {%s: true} to %s"
        .formatted(meant, Json.quote(known.get().key()), able.get());
  }

  /** Returns the first plugin that would read the argument, by itself or by its IPAM plugin. */
  private Optional<String> pluginWith(Capability capability) throws CniException {
    for (NetworkConfig network : networks) {
      for (PluginConfig plugin : network.plugins()) {
        if (capability.plugins().contains(plugin.type())
            || capability.plugins().contains(plugin.ipamType().orElse(""))) {
          return Optional.of("plugin " + plugin.type() + " of network " + network.name());
        }
      }
    }
    return Optional.empty();
  }
}
