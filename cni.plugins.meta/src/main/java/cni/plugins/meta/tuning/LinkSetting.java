// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkUpdate;
import cni.plugins.support.LinkComparison;
import cni.plugins.support.MacChange;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.BooleanNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * A property of the interface and what it should be.
 *
 * @param actual the value that the interface has, or that an earlier plugin of the chain gives it
 *     in the same update
 * @param expected the value that is configured, or that it had before; empty if that is not known
 * @param isAdded whether the current configuration did not set it
 * @param isRemoved whether only the current configuration sets it
 * @param isPlanned whether an earlier plugin changes it in the same update
 */
record LinkSetting(
    LinkProperty property,
    JsonNode actual,
    Optional<JsonNode> expected,
    boolean isAdded,
    boolean isRemoved,
    boolean isPlanned) {
  /**
   * Returns the settings of those properties that either configuration sets, and whether the
   * interface is promiscuous.
   *
   * @param saved the values before the ADD
   * @param plannedMac the hardware address that an earlier plugin gives the interface
   */
  static List<LinkSetting> list(
      Link link,
      TuningConfig current,
      TuningConfig desired,
      Optional<ConfigObject> saved,
      Optional<String> plannedMac)
      throws CniException {
    List<LinkSetting> settings = new ArrayList<>();
    for (LinkProperty property : LinkProperty.values()) {
      boolean isCurrent = property.configured(current).isPresent();
      boolean isDesired = property.configured(desired).isPresent();
      if (property == LinkProperty.PROMISCUOUS && !isDesired) {
        settings.add(notPromiscuous(link, isCurrent));
      } else if (isDesired || isCurrent) {
        Optional<JsonNode> expected = property.configured(desired);
        Optional<JsonNode> planned =
            property == LinkProperty.MAC ? plannedMac.map(StringNode::valueOf) : Optional.empty();
        if (expected.isEmpty() && saved.isPresent()) {
          expected = property.saved(saved.get());
        }
        settings.add(
            new LinkSetting(
                property,
                planned.orElse(property.actual(link)),
                expected,
                !isCurrent,
                !isDesired,
                planned.isPresent()));
      }
    }
    return settings;
  }

  /** The mode that {@code ip link} sets must be off; that of a packet socket ends with it. */
  private static LinkSetting notPromiscuous(Link link, boolean isCurrent) {
    JsonNode actual = BooleanNode.valueOf((link.flags() & LinkConstants.IFF_PROMISC) != 0);
    return new LinkSetting(
        LinkProperty.PROMISCUOUS, actual, Optional.of(BooleanNode.FALSE), false, isCurrent, false);
  }

  /** Adds the difference, if there is one. */
  void compare(NetNsSession container, Link link, boolean hasIpv6, Differences differences) {
    String name = link.name();
    if (expected.isEmpty()) {
      differences.add(
          "%s of interface %s is no longer configured; its value before is not known"
              .formatted(property.label(), name),
          "leave %s of interface %s at %s".formatted(property.label(), name, actual.asString()),
          Differences.Action.NONE,
          Differences.Action.NONE);
      return;
    }
    JsonNode value = expected.get();
    if (value.equals(actual)) {
      return;
    }
    String finding =
        "%s of interface %s is %s, expected %s"
            .formatted(property.label(), name, actual.asString(), value.asString());
    if (property == LinkProperty.MTU && hasIpv6 && value.intValue() < LinkComparison.MIN_IPV6_MTU) {
      differences.addUnchangeable(
          finding
              + ": below "
              + LinkComparison.MIN_IPV6_MTU
              + " the kernel removes the IPv6 addresses");
      return;
    }
    differences.add(
        finding,
        "set %s of interface %s to %s".formatted(property.label(), name, value.asString()),
        () -> set(container, link, value),
        () -> set(container, link, actual));
  }

  private void set(NetNsSession container, Link link, JsonNode value) throws IOException {
    if (property == LinkProperty.MAC) {
      MacChange.announce(container, link, value.stringValue());
    } else {
      var update = new LinkUpdate(link.index());
      property.set(update, value);
      container.rtnetlink().execute(update.request());
    }
  }

  /**
   * Adds the interface's value to the saved settings if it is about to be configured. One that an
   * earlier plugin changes replaces the saved one.
   */
  void save(ObjectNode settings) {
    boolean isNew = isAdded && !settings.has(property.key());
    if ((isNew || isPlanned) && !isRemoved) {
      settings.set(property.key(), actual);
    }
  }

  /** Removes the value from the saved settings if it is no longer configured. */
  void forget(ObjectNode settings) {
    if (isRemoved) {
      settings.remove(property.key());
    }
  }

  /** Returns an interface of the result with the expected value. */
  Result.Interface update(Result.Interface it) {
    if (expected.isEmpty()) {
      return it;
    }
    boolean hasMtu = property == LinkProperty.MTU && it.mtu() != 0;
    return new Result.Interface(
        it.name(),
        property == LinkProperty.MAC ? expected.get().stringValue() : it.mac(),
        hasMtu ? expected.get().intValue() : it.mtu(),
        it.sandbox(),
        it.socketPath(),
        it.pciId());
  }
}
