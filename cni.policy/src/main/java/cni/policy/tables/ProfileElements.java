// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.SetElement;
import cni.policy.Policy;
import cni.policy.PortMatch;
import cni.policy.TrafficRule;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The elements of the sets of a {@link Profile}. */
final class ProfileElements {
  private ProfileElements() {}

  /** Adds the elements that let a container pass. */
  static void addPeer(Profile profile, Identity peer, Access access, ContentBuilder content) {
    boolean isV4 = peer.isV4();
    if (access.everything()) {
      content.add(profile.set(ProfileSet.PEERS, isV4), SetElement.of(peer.key()));
      return;
    }
    for (PortMatch.Range ports : Access.disjoint(profile.ranges(access.ports()))) {
      boolean isSingle = ports.first() == ports.last();
      content.add(
          profile.set(isSingle ? ProfileSet.PORTS : ProfileSet.SPANS, isV4),
          range(peer.key(), peer.key(), ports, isV4));
    }
  }

  /**
   * Adds the elements for ranges of addresses.
   *
   * @throws CniException code 7 if there are too many
   */
  static void addBlocks(Profile profile, ContentBuilder content) throws CniException {
    for (boolean isV4 : new boolean[] {true, false}) {
      if (profile.has(ProfileSet.BLOCKS, isV4)) {
        for (AddressRange range : openBlocks(profile, isV4)) {
          content.add(
              profile.set(ProfileSet.BLOCKS, isV4),
              new SetElement(range.firstBytes(), range.lastBytes(), Optional.empty()));
        }
      }
      if (profile.has(ProfileSet.RANGES, isV4)) {
        for (DisjointRanges.Box box : boxes(profile, isV4)) {
          content.add(
              profile.set(ProfileSet.RANGES, isV4),
              range(box.addresses().firstBytes(), box.addresses().lastBytes(), box.ports(), isV4));
        }
      }
    }
  }

  /** Returns the addresses that may use every port. */
  static List<AddressRange> openBlocks(Profile profile, boolean isV4) {
    List<AddressRange> open = new ArrayList<>();
    for (TrafficRule rule : profile.rules()) {
      if (rule.ports().isEmpty()) {
        open.addAll(Profile.blocks(rule, isV4));
      }
    }
    return AddressRange.union(open);
  }

  private static List<DisjointRanges.Box> boxes(Profile profile, boolean isV4) throws CniException {
    var ranges = new DisjointRanges();
    for (TrafficRule rule : profile.rules()) {
      List<PortMatch.Range> ports = profile.ranges(rule.ports());
      for (AddressRange addresses : Profile.blocks(rule, isV4)) {
        ports.forEach(it -> ranges.add(addresses, it));
      }
    }
    try {
      return ranges.disjoint();
    } catch (DisjointRanges.TooManyException e) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "policies "
              + String.join(", ", profile.policies().stream().map(Policy::name).toList())
              + " select the same container, and their CIDRs and ports together need more than "
              + DisjointRanges.MAX_BOXES
              + " elements of a set; use fewer or larger ranges",
          e);
    }
  }

  private static SetElement range(Bytes first, Bytes last, PortMatch.Range ports, boolean isV4) {
    return new SetElement(
        Keys.join(first, ports.protocol(), isV4, ports.first()),
        Keys.join(last, ports.protocol(), isV4, ports.last()),
        Optional.empty());
  }
}
