// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.PluginConfig;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** The request to host-local that an attachment which is added again gets the same addresses. */
final class RetainedAddresses {
  /** CONVENTIONS.md, "ips": the addresses that the IPAM plugin is asked for. */
  private static final String IPS = "args.cni.ips";

  private RetainedAddresses() {}

  /**
   * Returns a state with the request; empty if another plugin assigns the addresses, if their
   * configuration changes, or if the state requests addresses itself.
   *
   * @param stored the attachment as it is
   * @param desired its state after it has been added again
   */
  static Optional<AttachmentState> request(CachedAttachment stored, AttachmentState desired)
      throws CniException {
    PluginConfig plugin = desired.config().plugins().getFirst();
    PluginConfig before = stored.config().plugins().getFirst();
    List<Cidr> addresses = stored.result().ips().stream().map(it -> it.address()).toList();
    boolean isSameIpam = plugin.json().path("ipam").equals(before.json().path("ipam"));
    boolean isRequested =
        plugin.json().at("/args/cni/ips").isArray()
            || desired.attachment().capabilityArgs().containsKey("ips")
            || desired.attachment().args().get("IP").isPresent();
    if (addresses.isEmpty()
        || !isSameIpam
        || isRequested
        || plugin.ipamType().filter("host-local"::equals).isEmpty()) {
      return Optional.empty();
    }
    ArrayNode ips = JsonNodeFactory.instance.arrayNode();
    addresses.forEach(it -> ips.add(it.toString()));
    AttachmentUpdate change = AttachmentUpdate.NONE.withKey(plugin.type(), IPS, ips);
    return Optional.of(
        new AttachmentState(
            change.applyTo(desired.config(), desired.config()), desired.attachment()));
  }
}
