// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.api.PortMapping;
import cni.netlink.ffm.nftables.Expression.Connection;
import java.net.InetAddress;
import java.util.List;

/**
 * The first packets of connections that the host forwards from or to a container, as far as they
 * are known.
 *
 * @param container the container's address
 * @param isToContainer whether the container is the destination rather than the source
 * @param inputs the names of the links that they may come in by
 * @param outputs the names of the links that they may leave by
 * @param ports the published ports of the host that the connections are to, after whose translation
 *     the packets are filtered; none for connections to or from any port, without translation
 * @param containerNetworks the networks of all containers: connections to published ports come from
 *     other addresses
 * @param areAnswers whether they are later packets of the connections instead, the answers
 */
record ForwardedPackets(
    InetAddress container,
    boolean isToContainer,
    List<String> inputs,
    List<String> outputs,
    List<PortMapping> ports,
    List<Cidr> containerNetworks,
    boolean areAnswers) {
  /** Copies the lists. */
  ForwardedPackets {
    inputs = List.copyOf(inputs);
    outputs = List.copyOf(outputs);
    ports = List.copyOf(ports);
    containerNetworks = List.copyOf(containerNetworks);
  }

  /** Returns whether the connections are to published ports. */
  boolean areTranslated() {
    return !ports.isEmpty();
  }

  /** Returns the state of their connections, a bit of {@link Connection}. */
  int state() {
    return areAnswers ? Connection.ESTABLISHED : Connection.NEW;
  }

  boolean isV4() {
    return InetAddresses.isV4(container);
  }

  /**
   * Returns whether a rule that is only for one network of the other ends is of use: to a published
   * port, any network but the containers' may be meant to be the only one that reaches it.
   */
  boolean mayBePeers(InetAddress network) {
    return areTranslated() && containerNetworks.stream().noneMatch(it -> it.contains(network));
  }
}
