// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.PluginRole;
import cni.api.UpdateRequest;
import java.util.Optional;
import java.util.Set;

/**
 * The ipam plugin that a configuration names. It cannot delegate to itself: an interface plugin
 * that was named by mistake would, without end.
 *
 * @param plugin the plugin
 */
record IpamDelegate(NetworkPlugin plugin) {
  /**
   * The plugins of containernetworking/plugins and of this project that assign no addresses. An
   * executable does not report its role.
   */
  private static final Set<String> NO_IPAM_PLUGINS =
      Set.of(
          "bandwidth",
          "bridge",
          "debug",
          "dummy",
          "firewall",
          "host-device",
          "ipvlan",
          "loopback",
          "macvlan",
          "policy",
          "portmap",
          "ptp",
          "sbr",
          "tap",
          "tuning",
          "vlan",
          "vrf");

  /**
   * Finds the plugin.
   *
   * @return empty if the configuration names none
   * @throws CniException code 7 if there is no such plugin, or it is none that assigns addresses
   */
  static Optional<IpamDelegate> find(PluginRequest request) throws CniException {
    Optional<String> type = request.config().ipamType();
    if (type.isEmpty()) {
      return Optional.empty();
    }
    ConfigObject ipam = request.config().view().object("ipam").orElseThrow();
    if (NO_IPAM_PLUGINS.contains(type.get())) {
      throw noIpamPlugin(ipam);
    }
    NetworkPlugin plugin = request.context().delegates().find(type.get());
    if (plugin.role().filter(it -> it != PluginRole.IPAM).isPresent()) {
      throw noIpamPlugin(ipam);
    }
    return Optional.of(new IpamDelegate(plugin));
  }

  private static CniException noIpamPlugin(ConfigObject ipam) {
    return ipam.invalid(
        "type",
        "is no ipam plugin: name one that assigns addresses, such as \"host-local\", \"static\" or"
            + " \"dhcp\"");
  }

  /** Returns a copy of the request for the plugin. */
  AttachmentRequest in(AttachmentRequest request) {
    return new AttachmentRequest(
        request.config(), request.attachment(), request.prevResult(), in(request.context()));
  }

  /** Returns a copy of the request for the plugin. */
  UpdateRequest in(UpdateRequest request) {
    return new UpdateRequest(in(request.current()), in(request.desired()));
  }

  /** Returns a copy of the request for the plugin. */
  GcRequest in(GcRequest request) {
    return new GcRequest(request.config(), request.valid(), in(request.context()));
  }

  /** Returns a copy of the request for the plugin. */
  NetworkRequest in(NetworkRequest request) {
    return new NetworkRequest(request.config(), in(request.context()));
  }

  private CallContext in(CallContext context) {
    String own = plugin.type();
    return context.withDelegates(
        type -> {
          if (type.equals(own)) {
            throw new CniException(
                ErrorCode.INVALID_CONFIG,
                "ipam plugin " + own + " delegates to itself: it is no ipam plugin");
          }
          return context.delegates().find(type);
        });
  }
}
