// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.policy.PortMatch;
import cni.policy.Protocol;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * A set of addresses with ports of a protocol, as a list of disjoint boxes, which an interval set
 * of nf_tables needs. The list depends only on which addresses and ports the set contains: the
 * ports are split wherever the set of addresses changes, and each set of addresses consists of as
 * few ranges as possible.
 */
final class DisjointRanges {
  /** The number of boxes above which a set is refused. */
  static final int MAX_BOXES = 65_536;

  private final Map<Protocol, List<Box>> boxes = new EnumMap<>(Protocol.class);

  /** Addresses of one family together with ports. */
  record Box(AddressRange addresses, PortMatch.Range ports) {}

  /** Adds all ports of a range on all addresses of a range. All ranges are of one family. */
  void add(AddressRange addresses, PortMatch.Range ports) {
    boxes.computeIfAbsent(ports.protocol(), _ -> new ArrayList<>()).add(new Box(addresses, ports));
  }

  /**
   * Returns the disjoint boxes, by protocol, port and address.
   *
   * @throws TooManyException if there are more than {@link #MAX_BOXES}
   */
  List<Box> disjoint() throws TooManyException {
    List<Box> disjoint = new ArrayList<>();
    for (Map.Entry<Protocol, List<Box>> entry : boxes.entrySet()) {
      split(entry.getKey(), entry.getValue(), disjoint);
    }
    return disjoint;
  }

  private static void split(Protocol protocol, List<Box> boxes, List<Box> disjoint)
      throws TooManyException {
    var boundaries = new TreeSet<Integer>();
    for (Box box : boxes) {
      boundaries.add(box.ports.first());
      boundaries.add(box.ports.last() + 1);
    }
    List<AddressRange> pending = List.of();
    int pendingFirst = 0;
    for (int boundary : boundaries) {
      List<AddressRange> here = addressesAt(boundary, boxes);
      if (!here.equals(pending)) {
        emit(pending, new PortMatch.Range(protocol, pendingFirst, boundary - 1), disjoint);
        pending = here;
        pendingFirst = boundary;
      }
    }
  }

  private static List<AddressRange> addressesAt(int port, List<Box> boxes) {
    Stream<Box> matching =
        boxes.stream().filter(it -> it.ports.first() <= port && port <= it.ports.last());
    return AddressRange.union(matching.map(Box::addresses).toList());
  }

  private static void emit(List<AddressRange> addresses, PortMatch.Range ports, List<Box> disjoint)
      throws TooManyException {
    if (disjoint.size() + addresses.size() > MAX_BOXES) {
      throw new TooManyException();
    }
    addresses.forEach(range -> disjoint.add(new Box(range, ports)));
  }

  /** The set needs too many boxes. */
  static final class TooManyException extends Exception {
    private static final long serialVersionUID = 1L;
  }
}
