// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Json;
import cni.doctor.traffic.AddressPool;
import cni.doctor.traffic.AttachmentTraffic;
import cni.doctor.traffic.Shaping;
import cni.doctor.traffic.TrafficRate;
import cni.doctor.traffic.TrafficSample;
import cni.netlink.ffm.route.LinkStatistics.Counters;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** A sample of {@code cni top} as JSON. Rates are per second; absent keys are not known. */
final class TopJson {
  private TopJson() {}

  /** Returns the object of one iteration. */
  static ObjectNode of(TrafficSample sample, Map<AttachmentTraffic.Key, TrafficRate> rates) {
    ObjectNode json = Json.object().put("time", sample.time().toString());
    ArrayNode attachments = json.putArray("attachments");
    for (AttachmentTraffic it : sample.attachments()) {
      write(it, Optional.ofNullable(rates.get(it.key())), attachments.addObject());
    }
    ArrayNode pools = json.putArray("pools");
    for (AddressPool it : sample.pools()) {
      pools
          .addObject()
          .put("network", it.network())
          .put("range", it.range())
          .put("size", it.size())
          .put("used", it.used());
    }
    return json;
  }

  private static void write(AttachmentTraffic it, Optional<TrafficRate> rate, ObjectNode json) {
    json.put("network", it.network())
        .put("containerId", it.containerId())
        .put("ifName", it.interfaceName())
        .put("netns", it.cached().attachment().sandbox())
        .put("state", it.presence().name().toLowerCase(Locale.ROOT));
    it.storedAt().ifPresent(time -> json.put("storedAt", time.toString()));
    ArrayNode addresses = json.putArray("addresses");
    it.addresses().forEach(addresses::add);
    ArrayNode ports = json.putArray("ports");
    it.ports().forEach(port -> ports.add(port.toJson()));
    it.lease()
        .ifPresent(
            lease ->
                json.putObject("lease")
                    .put("obtainedAt", lease.obtainedAt().toString())
                    .put("expiresAt", lease.expiresAt().toString()));
    it.statistics()
        .ifPresent(
            found -> {
              json.put("up", found.link().isUp());
              json.set("received", counters(found.received()));
              json.set("transmitted", counters(found.transmitted()));
            });
    rate.ifPresent(found -> json.set("rates", rates(found)));
    it.ingress().ifPresent(found -> json.set("ingressLimit", limit(found)));
    it.egress().ifPresent(found -> json.set("egressLimit", limit(found)));
  }

  private static ObjectNode counters(Counters it) {
    return Json.object()
        .put("bytes", it.bytes())
        .put("packets", it.packets())
        .put("errors", it.errors())
        .put("dropped", it.dropped());
  }

  private static ObjectNode rates(TrafficRate it) {
    return Json.object()
        .put("receivedBytes", it.receivedBytes())
        .put("transmittedBytes", it.transmittedBytes())
        .put("receivedPackets", it.receivedPackets())
        .put("transmittedPackets", it.transmittedPackets())
        .put("drops", it.drops());
  }

  private static ObjectNode limit(Shaping it) {
    return Json.object()
        .put("bitsPerSecond", it.bitsPerSecond())
        .put("drops", it.drops())
        .put("overlimits", it.overlimits())
        .put("backlogBytes", it.backlog());
  }
}
