// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.nftables.Expression.Meta;
import cni.netlink.ffm.nftables.Expression.Payload;
import java.util.ArrayList;
import java.util.List;

/** A property of a packet that a key of a {@link NamedSet} consists of, alone or concatenated. */
public enum PacketField {
  /** {@code iifname}. */
  INPUT_INTERFACE(AnonymousSet.Type.INTERFACE_NAME, Requirement.NONE, Header.META, Meta.INPUT_NAME),
  /** {@code oifname}. */
  OUTPUT_INTERFACE(
      AnonymousSet.Type.INTERFACE_NAME, Requirement.NONE, Header.META, Meta.OUTPUT_NAME),
  /** {@code ip saddr}. */
  IPV4_SOURCE(AnonymousSet.Type.IPV4_ADDRESS, Requirement.IPV4, Header.NETWORK, 12),
  /** {@code ip daddr}. */
  IPV4_DESTINATION(AnonymousSet.Type.IPV4_ADDRESS, Requirement.IPV4, Header.NETWORK, 16),
  /** {@code ip6 saddr}. */
  IPV6_SOURCE(AnonymousSet.Type.IPV6_ADDRESS, Requirement.IPV6, Header.NETWORK, 8),
  /** {@code ip6 daddr}. */
  IPV6_DESTINATION(AnonymousSet.Type.IPV6_ADDRESS, Requirement.IPV6, Header.NETWORK, 24),
  /** {@code arp saddr ip}, the address that the sender claims to have. */
  ARP_SENDER(AnonymousSet.Type.IPV4_ADDRESS, Requirement.ARP, Header.NETWORK, 14),
  /** {@code meta l4proto}. */
  TRANSPORT_PROTOCOL(
      AnonymousSet.Type.PROTOCOL, Requirement.NONE, Header.META, Meta.TRANSPORT_PROTOCOL),
  /** {@code th sport}, the first two bytes of the transport header, whatever the protocol. */
  SOURCE_PORT(AnonymousSet.Type.PORT, Requirement.NONE, Header.TRANSPORT, 0),
  /** {@code th dport}, the next two bytes; of ICMP the checksum. */
  DESTINATION_PORT(AnonymousSet.Type.PORT, Requirement.NONE, Header.TRANSPORT, 2),
  /** The target address of a neighbour solicitation or advertisement, which ICMPv6 has to be. */
  NEIGHBOR_TARGET(AnonymousSet.Type.IPV6_ADDRESS, Requirement.IPV6, Header.TRANSPORT, 8);

  /** Where a field is. */
  private enum Header {
    /** A property that is not in the bytes of the packet, by its key. */
    META,
    NETWORK,
    TRANSPORT
  }

  /** The network protocol that a packet must have for the field to be in it. */
  enum Requirement {
    NONE,
    IPV4,
    IPV6,
    ARP
  }

  @SuppressWarnings("ImmutableEnumChecker") // a record of two numbers
  private final AnonymousSet.Type type;

  private final Requirement requirement;
  private final Header header;
  private final int position;

  /**
   * Creates a field.
   *
   * @param position the offset in the header in bytes, or the key of the property
   */
  PacketField(AnonymousSet.Type type, Requirement requirement, Header header, int position) {
    this.type = type;
    this.requirement = requirement;
    this.header = header;
    this.position = position;
  }

  /** Returns the type of the field in a key. */
  public AnonymousSet.Type type() {
    return type;
  }

  /** Returns what the rule has to match before it loads the field. */
  Requirement requirement() {
    return requirement;
  }

  /** Returns the expressions that load fields into consecutive registers, from the first. */
  static List<Expression> loadAll(PacketField... fields) {
    List<Expression> loads = new ArrayList<>();
    int word = 0;
    for (PacketField field : fields) {
      loads.add(field.load(register(word)));
      word += field.type.words();
    }
    return loads;
  }

  /**
   * Returns the number of the register that begins at a word of the register file: each fourth word
   * begins one of 16 bytes; the others are NFT_REG32_00 and so on.
   */
  private static int register(int word) {
    return word % 4 == 0
        ? NftablesConstants.NFT_REG_1 + word / 4
        : NftablesConstants.NFT_REG32_00 + word;
  }

  /** Returns the expression that loads the field into a register. */
  Expression load(int register) {
    return switch (header) {
      case META -> new Meta(position, register);
      case NETWORK -> new Payload(Payload.NETWORK_HEADER, position, type.length(), register);
      case TRANSPORT -> new Payload(Payload.TRANSPORT_HEADER, position, type.length(), register);
    };
  }
}
