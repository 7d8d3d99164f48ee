// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.InetAddresses;
import cni.api.Json;
import java.util.Locale;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** A report as JSON. */
public final class PathJson {
  private PathJson() {}

  /**
   * Returns the object: {@code source}, {@code destination}, {@code address}, {@code protocol},
   * {@code port}, {@code fate}, {@code ok}, {@code cause}, {@code reason}, {@code remedy}, {@code
   * steps} and {@code notes}. Names of fates, causes, stages and states are those of the enums in
   * lower case with hyphens.
   */
  public static ObjectNode of(PathReport report) {
    PathQuery query = report.query();
    ObjectNode json = Json.object();
    json.put("source", query.source().name());
    report.sourceAddress().ifPresent(it -> json.put("sourceAddress", InetAddresses.format(it)));
    json.put("destination", query.destination().name());
    json.put("address", InetAddresses.format(query.address()));
    json.put("protocol", name(query.protocol()));
    if (query.protocol().hasPorts()) {
      json.put("port", query.port());
    }
    json.put("fate", name(report.fate()));
    json.put("ok", report.fate().isGood());
    report
        .finding()
        .ifPresent(
            it -> {
              json.put("cause", name(it.cause()));
              json.put("reason", it.text());
              json.put("remedy", it.remedy());
            });
    ArrayNode steps = json.putArray("steps");
    report.steps().forEach(it -> steps.add(step(it)));
    ArrayNode notes = json.putArray("notes");
    report.notes().forEach(notes::add);
    return json;
  }

  private static ObjectNode step(PathStep step) {
    ObjectNode json = Json.object();
    json.put("place", step.place());
    json.put("stage", name(step.stage()));
    json.put("state", name(step.state()));
    json.put("text", step.text());
    ArrayNode rules = json.putArray("rules");
    step.rules().forEach(rules::add);
    return json;
  }

  private static String name(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
