// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.Cidr;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The rules of a policy in one direction, in a form that is quick to evaluate. */
record CompiledRules(Policy policy, Direction direction, List<Rule> rules) {
  /** Returned if no rule matches. */
  static final int NONE = -1;

  /** Returns the index of the first rule that allows a packet. */
  int firstMatch(Packet packet) {
    for (int i = 0; i < rules.size(); i++) {
      Rule rule = rules.get(i);
      if (rule.matchesPeer(packet) && rule.matchesPort(packet)) {
        return i;
      }
    }
    return NONE;
  }

  /**
   * A packet from the view of one side.
   *
   * @param peer the other side's address
   * @param peerGroups the groups that the other side belongs to; empty if it is no container
   * @param destination the container that gives ports their names, if the destination is one
   */
  record Packet(
      Address peer, BitSet peerGroups, int protocol, int port, @Nullable Endpoint destination) {}

  /**
   * A rule.
   *
   * @param groups the numbers of the groups among its peers
   * @param anyPeer whether it has no peers
   */
  record Rule(boolean anyPeer, BitSet groups, List<Block> blocks, List<PortMatch> ports) {
    boolean matchesPeer(Packet packet) {
      if (anyPeer) {
        return true;
      }
      if (packet.peer().isLinkLocal()) {
        return false;
      }
      if (packet.peerGroups().intersects(groups)) {
        return true;
      }
      for (Block block : blocks) {
        if (block.contains(packet.peer())) {
          return true;
        }
      }
      return false;
    }

    boolean matchesPort(Packet packet) {
      for (PortMatch port : ports) {
        if (port.protocol().number(packet.peer().isV4()) == packet.protocol()
            && matches(port, packet)) {
          return true;
        }
      }
      return ports.isEmpty();
    }

    private static boolean matches(PortMatch match, Packet packet) {
      return switch (match) {
        case PortMatch.All _ -> true;
        case PortMatch.Range range ->
            range.first() <= packet.port() && packet.port() <= range.last();
        case PortMatch.Named named -> {
          Endpoint destination = packet.destination();
          Endpoint.NamedPort port =
              destination == null ? null : destination.ports().get(named.name());
          yield port != null && port.protocol() == named.protocol() && port.port() == packet.port();
        }
      };
    }
  }

  /** An address as numbers; the second is 0 for IPv4. */
  record Address(boolean isV4, long high, long low) {
    static Address of(InetAddress address) {
      ByteBuffer bytes = ByteBuffer.wrap(address.getAddress());
      return bytes.remaining() == 4
          ? new Address(true, (long) bytes.getInt() << 32, 0)
          : new Address(false, bytes.getLong(), bytes.getLong());
    }

    /** Returns whether it is of fe80::/10. No peer of a rule can name such an address. */
    boolean isLinkLocal() {
      return !isV4 && high >>> 54 == 0xfe80 >>> 6;
    }
  }

  /** A network as numbers. */
  record Network(Address address, long highMask, long lowMask) {
    static Network of(Cidr cidr) {
      int prefix = cidr.prefix();
      return new Network(Address.of(cidr.address()), mask(prefix), mask(prefix - Long.SIZE));
    }

    private static long mask(int bits) {
      return bits <= 0 ? 0 : bits >= Long.SIZE ? -1 : -1L << (Long.SIZE - bits);
    }

    boolean contains(Address other) {
      return other.isV4() == address.isV4()
          && ((other.high() ^ address.high()) & highMask) == 0
          && ((other.low() ^ address.low()) & lowMask) == 0;
    }
  }

  /** A range of addresses with exceptions. */
  record Block(Network range, List<Network> except) {
    static Block of(Peer.Block block) {
      List<Network> except = block.except().stream().map(Network::of).toList();
      return new Block(Network.of(block.cidr()), except);
    }

    boolean contains(Address address) {
      if (!range.contains(address)) {
        return false;
      }
      for (Network network : except) {
        if (network.contains(address)) {
          return false;
        }
      }
      return true;
    }
  }
}
