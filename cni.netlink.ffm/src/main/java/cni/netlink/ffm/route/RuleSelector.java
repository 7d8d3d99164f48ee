// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static java.util.Objects.requireNonNull;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkRequest;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.StringJoiner;

/**
 * The packets that a {@link PolicyRule} applies to: those that match every selector that is given,
 * as in ip-rule(8). Each method that returns a selector returns a copy with one more condition.
 *
 * @param source the network that they come from
 * @param destination the network that they go to
 * @param mark the firewall mark that they have
 * @param inputInterface the interface that they arrive on; {@code lo} for those of this host
 * @param outputInterface the interface that their socket is bound to
 * @param protocol the IP protocol, such as 6 for TCP
 * @param sourcePorts the source ports of TCP, UDP and other protocols with ports
 * @param destinationPorts the destination ports
 * @param isPartial whether the kernel's rule has conditions that this record does not show: an
 *     inverted selector, a user, a VRF, a tunnel or a type of service
 */
public record RuleSelector(
    Optional<Prefix> source,
    Optional<Prefix> destination,
    Optional<Mark> mark,
    Optional<String> inputInterface,
    Optional<String> outputInterface,
    OptionalInt protocol,
    Optional<PortRange> sourcePorts,
    Optional<PortRange> destinationPorts,
    boolean isPartial) {
  /** All packets. */
  public static final RuleSelector ANY =
      new RuleSelector(
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          OptionalInt.empty(),
          Optional.empty(),
          Optional.empty(),
          false);

  // linux/fib_rules.h
  private static final int FRA_DST = 1;
  private static final int FRA_SRC = 2;
  private static final int FRA_IIFNAME = 3;
  private static final int FRA_FWMARK = 10;
  private static final int FRA_FWMASK = 16;
  private static final int FRA_OIFNAME = 17;
  private static final int FRA_IP_PROTO = 22;
  private static final int FRA_SPORT_RANGE = 23;
  private static final int FRA_DPORT_RANGE = 24;

  /** FRA_TUN_ID, FRA_L3MDEV, FRA_UID_RANGE, FRA_DSCP and FRA_FLOWLABEL. */
  private static final List<Integer> OTHER_SELECTORS = List.of(12, 19, 20, 25, 26);

  private static final int FIB_RULE_INVERT = 0x2;

  /** Offsets in struct fib_rule_hdr. */
  private static final int DST_LEN = 1;

  private static final int SRC_LEN = 2;
  private static final int TOS = 3;
  private static final int FLAGS = 8;

  /** sizeof(struct fib_rule_port_range): two u16 in native byte order. */
  private static final int PORT_RANGE = 4;

  /**
   * A network.
   *
   * @param address the address of the network
   * @param length the length of its prefix, in bits
   */
  public record Prefix(InetAddress address, int length) {
    /** Checks the length. */
    public Prefix {
      requireNonNull(address, "address");
      int max = IpFamily.of(address).addressBits();
      if (length < 0 || length > max) {
        throw new IllegalArgumentException("prefix length " + length + " is not in 0.." + max);
      }
    }

    @Override
    public String toString() {
      return address.getHostAddress() + "/" + length;
    }
  }

  /**
   * A firewall mark: packets match whose mark is {@code value} in the bits of {@code mask}.
   *
   * @param value the value of the bits
   * @param mask the bits that are compared
   */
  public record Mark(int value, int mask) {
    @Override
    public String toString() {
      return "0x%x/0x%x".formatted(value, mask);
    }
  }

  /**
   * A range of ports. The kernel refuses 65535 (fib_rule_port_range_valid of linux/fib_rules.h).
   *
   * @param first the lowest port, at least 1
   * @param last the highest port, at most 65534
   */
  public record PortRange(int first, int last) {
    private static final int MAX_PORT = 65_534;

    /** Checks the ports. */
    public PortRange {
      if (first < 1 || last < first || last > MAX_PORT) {
        throw new IllegalArgumentException(
            "ports " + first + "-" + last + " are not a range in 1.." + MAX_PORT);
      }
    }

    @Override
    public String toString() {
      return first == last ? "" + first : first + "-" + last;
    }
  }

  /** Matches packets that come from one address. */
  public RuleSelector from(InetAddress address) {
    return from(address, IpFamily.of(address).addressBits());
  }

  /**
   * Matches packets that come from a network.
   *
   * @param length the length of its prefix, in bits
   */
  public RuleSelector from(InetAddress address, int length) {
    return new RuleSelector(
        Optional.of(new Prefix(address, length)),
        destination,
        mark,
        inputInterface,
        outputInterface,
        protocol,
        sourcePorts,
        destinationPorts,
        isPartial);
  }

  /**
   * Matches packets that go to a network.
   *
   * @param length the length of its prefix, in bits
   */
  public RuleSelector to(InetAddress address, int length) {
    return new RuleSelector(
        source,
        Optional.of(new Prefix(address, length)),
        mark,
        inputInterface,
        outputInterface,
        protocol,
        sourcePorts,
        destinationPorts,
        isPartial);
  }

  /** Matches packets with exactly this firewall mark. */
  public RuleSelector withMark(int value) {
    return withMark(value, 0xffff_ffff);
  }

  /** Matches packets whose firewall mark has this value in the bits of a mask. */
  public RuleSelector withMark(int value, int mask) {
    return new RuleSelector(
        source,
        destination,
        Optional.of(new Mark(value, mask)),
        inputInterface,
        outputInterface,
        protocol,
        sourcePorts,
        destinationPorts,
        isPartial);
  }

  /** Matches packets that arrive on an interface, which need not exist yet. */
  public RuleSelector arrivingOn(String name) {
    return new RuleSelector(
        source,
        destination,
        mark,
        Optional.of(name),
        outputInterface,
        protocol,
        sourcePorts,
        destinationPorts,
        isPartial);
  }

  /** Matches packets of sockets that are bound to an interface, which need not exist yet. */
  public RuleSelector boundTo(String name) {
    return new RuleSelector(
        source,
        destination,
        mark,
        inputInterface,
        Optional.of(name),
        protocol,
        sourcePorts,
        destinationPorts,
        isPartial);
  }

  /** Matches packets of an IP protocol, such as 6 for TCP and 17 for UDP. */
  public RuleSelector withProtocol(int number) {
    return new RuleSelector(
        source,
        destination,
        mark,
        inputInterface,
        outputInterface,
        OptionalInt.of(number),
        sourcePorts,
        destinationPorts,
        isPartial);
  }

  /** Matches packets that come from one of these ports, both ends included. */
  public RuleSelector fromPorts(int first, int last) {
    return withPorts(Optional.of(new PortRange(first, last)), destinationPorts);
  }

  /** Matches packets that go to one of these ports, both ends included. */
  public RuleSelector toPorts(int first, int last) {
    return withPorts(sourcePorts, Optional.of(new PortRange(first, last)));
  }

  private RuleSelector withPorts(Optional<PortRange> from, Optional<PortRange> to) {
    return new RuleSelector(
        source, destination, mark, inputInterface, outputInterface, protocol, from, to, isPartial);
  }

  /** Appends the attributes; the prefix lengths are in the header. */
  void append(NetlinkRequest message) {
    source.ifPresent(it -> message.bytes(FRA_SRC, it.address().getAddress()));
    destination.ifPresent(it -> message.bytes(FRA_DST, it.address().getAddress()));
    inputInterface.ifPresent(it -> message.string(FRA_IIFNAME, it));
    outputInterface.ifPresent(it -> message.string(FRA_OIFNAME, it));
    mark.ifPresent(it -> message.u32(FRA_FWMARK, it.value()).u32(FRA_FWMASK, it.mask()));
    protocol.ifPresent(it -> message.u8(FRA_IP_PROTO, it));
    sourcePorts.ifPresent(it -> message.bytes(FRA_SPORT_RANGE, bytes(it)));
    destinationPorts.ifPresent(it -> message.bytes(FRA_DPORT_RANGE, bytes(it)));
  }

  private static byte[] bytes(PortRange ports) {
    return ByteBuffer.allocate(PORT_RANGE)
        .order(ByteOrder.nativeOrder())
        .putShort((short) ports.first())
        .putShort((short) ports.last())
        .array();
  }

  /** Reads the selectors of a rule. */
  static RuleSelector read(ByteBuffer message, Attributes attributes)
      throws MalformedMessageException {
    boolean isPartial =
        message.get(TOS) != 0
            || (message.getInt(FLAGS) & FIB_RULE_INVERT) != 0
            || OTHER_SELECTORS.stream().anyMatch(attributes::has);
    return new RuleSelector(
        prefix(attributes, FRA_SRC, Byte.toUnsignedInt(message.get(SRC_LEN))),
        prefix(attributes, FRA_DST, Byte.toUnsignedInt(message.get(DST_LEN))),
        mark(attributes),
        attributes.string(FRA_IIFNAME),
        attributes.string(FRA_OIFNAME),
        attributes.u8(FRA_IP_PROTO),
        ports(attributes, FRA_SPORT_RANGE),
        ports(attributes, FRA_DPORT_RANGE),
        isPartial);
  }

  private static Optional<Prefix> prefix(Attributes attributes, int attribute, int length)
      throws MalformedMessageException {
    Optional<InetAddress> address = RouteMessages.address(attributes, attribute);
    if (address.isEmpty()) {
      return Optional.empty();
    }
    if (length > IpFamily.of(address.get()).addressBits()) {
      throw new MalformedMessageException("a prefix has " + length + " bits");
    }
    return Optional.of(new Prefix(address.get(), length));
  }

  private static Optional<Mark> mark(Attributes attributes) throws MalformedMessageException {
    OptionalInt value = attributes.u32(FRA_FWMARK);
    OptionalInt mask = attributes.u32(FRA_FWMASK);
    return value.isEmpty() && mask.isEmpty()
        ? Optional.empty()
        : Optional.of(new Mark(value.orElse(0), mask.orElse(0xffff_ffff)));
  }

  private static Optional<PortRange> ports(Attributes attributes, int attribute)
      throws MalformedMessageException {
    Optional<byte[]> value = attributes.bytes(attribute);
    if (value.isEmpty()) {
      return Optional.empty();
    }
    if (value.get().length < PORT_RANGE) {
      throw new MalformedMessageException("a range of ports has " + value.get().length + " bytes");
    }
    ByteBuffer range = ByteBuffer.wrap(value.get()).order(ByteOrder.nativeOrder());
    int first = Short.toUnsignedInt(range.getShort(0));
    int last = Short.toUnsignedInt(range.getShort(2));
    if (first == 0 || last < first || last > PortRange.MAX_PORT) {
      throw new MalformedMessageException("a range of ports is " + first + "-" + last);
    }
    return Optional.of(new PortRange(first, last));
  }

  /** Returns the conditions in the words of ip-rule(8); the empty string for any packet. */
  @Override
  public String toString() {
    var text = new StringJoiner(" ");
    source.ifPresent(it -> text.add("from " + it));
    destination.ifPresent(it -> text.add("to " + it));
    mark.ifPresent(it -> text.add("fwmark " + it));
    inputInterface.ifPresent(it -> text.add("iif " + it));
    outputInterface.ifPresent(it -> text.add("oif " + it));
    protocol.ifPresent(it -> text.add("ipproto " + it));
    sourcePorts.ifPresent(it -> text.add("sport " + it));
    destinationPorts.ifPresent(it -> text.add("dport " + it));
    return text.toString();
  }
}
