// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkUpdate;
import cni.netlink.ffm.route.Mac;
import java.util.Optional;
import java.util.OptionalInt;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.BooleanNode;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.StringNode;

/** A property of the interface that can be tuned. Values are those of the saved settings. */
enum LinkProperty {
  MAC("mac", "hardware address") {
    @Override
    Optional<JsonNode> configured(TuningConfig config) {
      return config.mac().map(StringNode::valueOf);
    }

    @Override
    JsonNode actual(Link link) {
      return StringNode.valueOf(link.mac());
    }

    @Override
    Optional<JsonNode> saved(ConfigObject settings) throws CniException {
      return settings.parsed(key(), Mac::parse).map(it -> StringNode.valueOf(Mac.format(it)));
    }

    @Override
    void set(LinkUpdate update, JsonNode value) {
      update.mac(Mac.parse(value.stringValue()));
    }
  },

  MTU("mtu", "MTU") {
    @Override
    Optional<JsonNode> configured(TuningConfig config) {
      return config.mtu() == 0 ? Optional.empty() : Optional.of(IntNode.valueOf(config.mtu()));
    }

    @Override
    JsonNode actual(Link link) {
      return IntNode.valueOf(link.mtu());
    }

    @Override
    Optional<JsonNode> saved(ConfigObject settings) throws CniException {
      return number(settings).filter(it -> it.intValue() != 0);
    }

    @Override
    void set(LinkUpdate update, JsonNode value) {
      update.mtu(value.intValue());
    }
  },

  PROMISCUOUS("promisc", "promiscuous mode") {
    @Override
    Optional<JsonNode> configured(TuningConfig config) {
      return config.promiscuous() ? Optional.of(BooleanNode.TRUE) : Optional.empty();
    }

    @Override
    JsonNode actual(Link link) {
      return BooleanNode.valueOf(link.promiscuity() != 0);
    }

    @Override
    Optional<JsonNode> saved(ConfigObject settings) throws CniException {
      return bool(settings);
    }

    @Override
    void set(LinkUpdate update, JsonNode value) {
      update.promiscuous(value.booleanValue());
    }
  },

  ALL_MULTICAST("allmulti", "all-multicast mode") {
    @Override
    Optional<JsonNode> configured(TuningConfig config) {
      return config.allMulticast().map(BooleanNode::valueOf);
    }

    @Override
    JsonNode actual(Link link) {
      return BooleanNode.valueOf((link.flags() & LinkConstants.IFF_ALLMULTI) != 0);
    }

    @Override
    Optional<JsonNode> saved(ConfigObject settings) throws CniException {
      return bool(settings);
    }

    @Override
    void set(LinkUpdate update, JsonNode value) {
      update.allMulticast(value.booleanValue());
    }
  },

  TX_QUEUE_LENGTH("txQLen", "transmit queue length") {
    @Override
    Optional<JsonNode> configured(TuningConfig config) {
      OptionalInt length = config.txQueueLength();
      return length.isPresent()
          ? Optional.of(IntNode.valueOf(length.getAsInt()))
          : Optional.empty();
    }

    @Override
    JsonNode actual(Link link) {
      return IntNode.valueOf(link.txQueueLength());
    }

    @Override
    Optional<JsonNode> saved(ConfigObject settings) throws CniException {
      return number(settings);
    }

    @Override
    void set(LinkUpdate update, JsonNode value) {
      update.txQueueLength(value.intValue());
    }
  };

  private final String key;
  private final String label;

  LinkProperty(String key, String label) {
    this.key = key;
    this.label = label;
  }

  /** Returns the key of the configuration and of saved settings. */
  String key() {
    return key;
  }

  /** Returns the name for messages. */
  String label() {
    return label;
  }

  /** Returns the value that the configuration sets; empty to leave the property. */
  abstract Optional<JsonNode> configured(TuningConfig config);

  /** Returns the value that an interface has. */
  abstract JsonNode actual(Link link);

  /**
   * Returns the value of saved settings.
   *
   * @throws CniException code 7 if it is invalid
   */
  abstract Optional<JsonNode> saved(ConfigObject settings) throws CniException;

  /** Adds the property to an update of the interface. */
  abstract void set(LinkUpdate update, JsonNode value);

  Optional<JsonNode> number(ConfigObject settings) throws CniException {
    OptionalInt number = settings.integer(key, 0, Integer.MAX_VALUE);
    return number.isPresent() ? Optional.of(IntNode.valueOf(number.getAsInt())) : Optional.empty();
  }

  Optional<JsonNode> bool(ConfigObject settings) throws CniException {
    return settings.has(key)
        ? Optional.of(BooleanNode.valueOf(settings.bool(key)))
        : Optional.empty();
  }
}
