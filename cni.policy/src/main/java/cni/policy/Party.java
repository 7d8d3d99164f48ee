// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.InetAddresses;
import java.net.InetAddress;

/** One side of a connection. */
public sealed interface Party {
  /** Returns the address that it has in the packets. */
  InetAddress address();

  /** Returns how messages name it. */
  String describe();

  /**
   * A container of this host.
   *
   * @param address one of its addresses, or a link-local one
   */
  record Container(Endpoint endpoint, InetAddress address) implements Party {
    @Override
    public String describe() {
      return endpoint.labels().isEmpty()
          ? InetAddresses.format(address)
          : "labels " + PolicyEvaluator.format(endpoint.labels());
    }
  }

  /** This host itself. As a source it may reach every container: health checks come from it. */
  record Host(InetAddress address) implements Party {
    @Override
    public String describe() {
      return "the host's address " + InetAddresses.format(address);
    }
  }

  /** Any other address. */
  record Outside(InetAddress address) implements Party {
    @Override
    public String describe() {
      return InetAddresses.format(address);
    }
  }
}
