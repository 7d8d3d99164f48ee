// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.Cidr;
import java.net.InetAddress;
import java.util.List;
import java.util.Set;

/** The other side of a connection that a rule allows. */
public sealed interface Peer {
  /**
   * The containers of this host with certain labels, on certain networks.
   *
   * @param networks the names of the networks; empty for any
   */
  record Group(Selector selector, Set<String> networks) implements Peer {
    /** Copies the names. */
    public Group {
      networks = Set.copyOf(networks);
    }

    /** Returns whether an attachment belongs to the group. */
    public boolean contains(Endpoint endpoint) {
      return (networks.isEmpty() || networks.contains(endpoint.id().network()))
          && selector.matches(endpoint.labels());
    }
  }

  /**
   * A range of addresses, regardless of what has them.
   *
   * @param cidr the range, without host bits
   * @param except ranges inside of it that do not belong to it
   */
  record Block(Cidr cidr, List<Cidr> except) implements Peer {
    /** Copies the list. */
    public Block {
      except = List.copyOf(except);
    }

    /** Returns whether an address belongs to it. */
    public boolean contains(InetAddress address) {
      return cidr.contains(address) && except.stream().noneMatch(it -> it.contains(address));
    }
  }
}
