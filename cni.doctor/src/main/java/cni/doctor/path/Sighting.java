// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.doctor.path.FlowKey.Direction;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.TraceEvent;
import cni.netlink.ffm.nftables.TraceEvent.Headers;
import java.util.Optional;

/**
 * A packet of a probe at a point of the rules.
 *
 * @param view the namespace
 * @param hook the hook, one of the constants of {@link Hook}, and whether it is one of bridges
 * @param marker which of the tracer's own chains it is; empty for a chain of the ruleset
 * @param event what happened there
 * @param headers the packet's headers
 * @param direction which way the packet goes
 */
record Sighting(
    NamespaceView view,
    HookPoint hook,
    Optional<Marker> marker,
    TraceEvent event,
    Headers headers,
    Direction direction) {

  /** The tracer's own chains at each hook. */
  enum Marker {
    FIRST,
    LAST
  }

  /**
   * A hook.
   *
   * @param bridge whether it is one of bridged frames
   * @param number as in {@link Hook}
   */
  record HookPoint(boolean bridge, int number) {
    static HookPoint of(TableFamily family, int number) {
      return new HookPoint(family == TableFamily.BRIDGE, number);
    }

    /** Returns the name that nft(8) gives it: {@code forward}, {@code bridge forward}. */
    @Override
    public String toString() {
      String name =
          switch (number) {
            case Hook.PREROUTING -> "prerouting";
            case Hook.INPUT -> "input";
            case Hook.FORWARD -> "forward";
            case Hook.OUTPUT -> "output";
            case Hook.POSTROUTING -> "postrouting";
            default -> "hook " + number;
          };
      return bridge ? "bridge " + name : name;
    }
  }

  boolean isForward() {
    return direction == Direction.FORWARD;
  }

  boolean isAt(NamespaceView other, HookPoint point, Marker wanted) {
    return view == other && hook.equals(point) && marker.filter(wanted::equals).isPresent();
  }

  /** Returns whether the packet has passed all rules before its delivery to the namespace. */
  boolean isDelivery() {
    boolean isInput = hook.number() == Hook.INPUT && !hook.bridge();
    return isInput && marker.filter(Marker.LAST::equals).isPresent();
  }

  /** Returns whether the packet has passed the routing decision. */
  boolean isRouted() {
    int number = hook.number();
    return !hook.bridge()
        && (number == Hook.INPUT || number == Hook.FORWARD || number == Hook.POSTROUTING);
  }

  boolean isDrop() {
    return marker.isEmpty() && event.verdict() == TraceEvent.Verdict.DROP;
  }
}
