// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.meta.PreviousResult;
import java.util.List;
import java.util.Optional;

/**
 * The state of an attachment's port mappings, current or desired.
 *
 * @param config the configuration, with the mappings
 * @param addresses the container's first address of each family
 */
record PortMapState(PortMapConfig config, List<Cidr> addresses) {
  static PortMapState of(AttachmentRequest request) throws CniException {
    return new PortMapState(
        PortMapConfig.parse(request.config()),
        PreviousResult.firstAddressPerFamily(request, request.prevResult().orElse(Result.EMPTY)));
  }

  /** Returns the address that ports are mapped to; empty if there are no mappings or none is. */
  Optional<Cidr> address(TableFamily family) {
    return config.mappings().isEmpty()
        ? Optional.empty()
        : addresses.stream()
            .filter(address -> TableFamily.of(address.address()) == family)
            .findFirst();
  }

  /** Returns what the masquerading rules depend on; empty if there are no mappings. */
  Optional<String> masquerades(TableFamily family) {
    return address(family)
        .map(it -> it.address() + " " + config.snat() + " " + config.masqueradeAll());
  }
}
