// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.PortMapping;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.Expression;
import cni.netlink.ffm.nftables.Expression.Bitwise;
import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Connection;
import cni.netlink.ffm.nftables.Expression.Meta;
import cni.netlink.ffm.nftables.Expression.Payload;
import cni.netlink.ffm.nftables.Expression.XtMatch;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Whether a rule may match packets. A condition that is not understood, such as a set, counts as
 * one that may be met.
 *
 * @param packets the packets
 */
record RuleConditions(ForwardedPackets packets) {
  /** NFT_CT_STATUS of linux/netfilter/nf_tables.h. */
  private static final int CONNECTION_STATUS = 2;

  /** IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h. */
  private static final int STATUS_DNAT = 1 << 5;

  /** XT_CONNTRACK_STATE_DNAT of linux/netfilter/xt_conntrack.h. */
  private static final int XT_STATE_DNAT = 1 << 7;

  /** XT_CONNTRACK_STATE: only the state is compared. */
  private static final int XT_STATE_ONLY = 1;

  private static final int TCP = 6;
  private static final int UDP = 17;
  private static final int SCTP = 132;
  private static final int NFPROTO_IPV4 = 2;
  private static final int NFPROTO_IPV6 = 10;

  /** Returns whether all conditions of a rule may be met. */
  boolean mayMatch(List<Expression> rule) {
    Optional<Expression> loaded = Optional.empty();
    Optional<Bytes> mask = Optional.empty();
    for (Expression expression : rule) {
      switch (expression) {
        case Bitwise bitwise -> mask = Optional.of(bitwise.mask());
        case Compare compare -> {
          if (loaded.isPresent() && !mayBe(loaded.get(), mask, compare)) {
            return false;
          }
        }
        case XtMatch match -> {
          if (!mayBe(match)) {
            return false;
          }
        }
        default -> {
          loaded = Optional.of(expression);
          mask = Optional.empty();
        }
      }
    }
    return true;
  }

  /** Returns whether all conditions of a rule are understood, and met by all of the packets. */
  boolean mustMatch(List<Expression> rule) {
    Optional<Expression> loaded = Optional.empty();
    Optional<Bytes> mask = Optional.empty();
    for (Expression expression : rule) {
      switch (expression) {
        case Bitwise bitwise -> mask = Optional.of(bitwise.mask());
        case Compare compare -> {
          if (loaded.isEmpty() || !mustBe(loaded.get(), mask, compare)) {
            return false;
          }
        }
        case Payload _, Meta _, Connection _ -> {
          loaded = Optional.of(expression);
          mask = Optional.empty();
        }
        case Expression.Lookup _, Expression.Limit _, XtMatch _, Expression.Unparsed _ -> {
          return false;
        }
        default -> {}
      }
    }
    return true;
  }

  /** Where all packets are alike in a property, they must have what they may have. */
  private boolean mustBe(Expression loaded, Optional<Bytes> mask, Compare compare) {
    boolean isKnown =
        switch (loaded) {
          case Payload it -> it.base() == Payload.NETWORK_HEADER && isContainer(it);
          case Meta it when it.key() == Meta.INPUT_NAME -> packets.inputs().size() == 1;
          case Meta it when it.key() == Meta.OUTPUT_NAME -> packets.outputs().size() == 1;
          case Meta it -> it.key() == Meta.NETWORK_PROTOCOL;
          case Connection it when it.key() == Connection.STATE ->
              mask.isPresent() == (compare.operator() == Compare.NOT_EQUAL);
          default -> false;
        };
    boolean isOrdered =
        compare.operator() != Compare.EQUAL && compare.operator() != Compare.NOT_EQUAL;
    return isKnown && !isOrdered && mayBe(loaded, mask, compare);
  }

  /** Returns whether a field of the network header is the container's address. */
  private boolean isContainer(Payload field) {
    boolean isV4 = packets.isV4();
    int source = isV4 ? 12 : 8;
    int destination = isV4 ? 16 : 24;
    return field.offset() == (packets.isToContainer() ? destination : source);
  }

  private boolean mayBe(Expression loaded, Optional<Bytes> mask, Compare compare) {
    return switch (loaded) {
      case Payload it when it.base() == Payload.NETWORK_HEADER -> mayBeInHeader(it, mask, compare);
      case Payload it when it.base() == Payload.TRANSPORT_HEADER ->
          it.offset() != 2 || it.length() != 2 || mayBePort(compare);
      case Meta it -> mayBeMeta(it, compare);
      case Connection it when it.key() == Connection.STATE ->
          mayHaveBits(mask, compare, packets.state());
      case Connection it when it.key() == CONNECTION_STATUS ->
          packets.areTranslated() || !isOnlyBit(mask, compare, STATUS_DNAT);
      default -> true;
    };
  }

  private boolean mayBeMeta(Meta meta, Compare compare) {
    return switch (meta.key()) {
      case Meta.INPUT_NAME -> mayBeName(packets.inputs(), compare);
      case Meta.OUTPUT_NAME -> mayBeName(packets.outputs(), compare);
      case Meta.TRANSPORT_PROTOCOL -> mayBeProtocol(compare);
      case Meta.NETWORK_PROTOCOL ->
          isMet(compare, it -> it[0] == (packets.isV4() ? NFPROTO_IPV4 : NFPROTO_IPV6));
      default -> true;
    };
  }

  private static boolean isMet(Compare compare, Predicate<byte[]> isEqual) {
    return switch (compare.operator()) {
      case Compare.EQUAL -> isEqual.test(compare.data().toArray());
      case Compare.NOT_EQUAL -> !isEqual.test(compare.data().toArray());
      default -> true;
    };
  }

  private boolean mayBeInHeader(Payload field, Optional<Bytes> mask, Compare compare) {
    boolean isV4 = packets.isV4();
    if (field.offset() == (isV4 ? 9 : 6) && field.length() == 1) {
      return mayBeProtocol(compare);
    }
    boolean isSource = field.offset() == (isV4 ? 12 : 8);
    boolean isDestination = field.offset() == (isV4 ? 16 : 24);
    if (!isSource && !isDestination) {
      return true;
    }
    return isDestination == packets.isToContainer()
        ? isMet(compare, data -> Arrays.equals(data, masked(field.length(), mask)))
        : compare.operator() != Compare.EQUAL || packets.mayBePeers(network(compare.data()));
  }

  /** Returns the first bytes of the container's address; prefixes of whole bytes have no mask. */
  private byte[] masked(int length, Optional<Bytes> mask) {
    byte[] bytes = Arrays.copyOf(packets.container().getAddress(), length);
    if (mask.isPresent()) {
      byte[] bits = mask.get().toArray();
      for (int i = 0; i < bytes.length && i < bits.length; i++) {
        bytes[i] &= bits[i];
      }
    }
    return bytes;
  }

  private InetAddress network(Bytes prefix) {
    try {
      return InetAddress.getByAddress(Arrays.copyOf(prefix.toArray(), packets.isV4() ? 4 : 16));
    } catch (UnknownHostException e) {
      throw new AssertionError(e); // both lengths are valid
    }
  }

  private boolean mayBeProtocol(Compare compare) {
    Set<Integer> protocols = Set.of(TCP, UDP);
    return packets.areTranslated()
        ? packets.ports().stream().anyMatch(it -> isMet(compare, data -> data[0] == protocol(it)))
        : protocols.stream().anyMatch(it -> isMet(compare, data -> data[0] == it.byteValue()));
  }

  private static byte protocol(PortMapping port) {
    return (byte)
        switch (port.protocol()) {
          case TCP -> TCP;
          case UDP -> UDP;
          case SCTP -> SCTP;
        };
  }

  private boolean mayBePort(Compare compare) {
    return !packets.areTranslated()
        || packets.ports().stream()
            .map(PortMapping::containerPort)
            .anyMatch(
                it -> isMet(compare, data -> ByteBuffer.wrap(data).getShort() == it.shortValue()));
  }

  private static boolean mayBeName(List<String> links, Compare compare) {
    return links.stream()
        .map(it -> it.getBytes(StandardCharsets.US_ASCII))
        .anyMatch(
            name -> isMet(compare, data -> Arrays.equals(Arrays.copyOf(name, data.length), data)));
  }

  /** Reads {@code ct state new,established}, as nft writes it: bits that are not all zero. */
  private static boolean mayHaveBits(Optional<Bytes> mask, Compare compare, int bits) {
    boolean isPlain = mask.isEmpty() && compare.operator() == Compare.EQUAL;
    boolean isAny = mask.isPresent() && compare.operator() == Compare.NOT_EQUAL;
    boolean isUnderstood = isPlain || isAny; // not: ct state != invalid
    return !isUnderstood || (number(mask.orElse(compare.data())) & bits) != 0;
  }

  private static boolean isOnlyBit(Optional<Bytes> mask, Compare compare, int bit) {
    return number(mask.orElse(compare.data())) == bit
        && (mask.isEmpty() == (compare.operator() == Compare.EQUAL));
  }

  private static int number(Bytes data) {
    return data.length() < Integer.BYTES
        ? 0
        : ByteBuffer.wrap(data.toArray()).order(ByteOrder.nativeOrder()).getInt();
  }

  /** Reads {@code -m conntrack --ctstate} of iptables, struct xt_conntrack_mtinfo3. */
  private boolean mayBe(XtMatch match) {
    if (!match.name().equals("conntrack") || match.revision() != 3 || match.info().length() < 152) {
      return true;
    }
    ByteBuffer info = ByteBuffer.wrap(match.info().toArray()).order(ByteOrder.nativeOrder());
    boolean isStateOnly = info.getShort(146) == XT_STATE_ONLY && info.getShort(148) == 0;
    int wanted = packets.state() | (packets.areTranslated() ? XT_STATE_DNAT : 0);
    return !isStateOnly || (info.getShort(150) & wanted) != 0;
  }
}
