// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.policy.tables.CutFlow;
import java.net.InetAddress;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The file of the connections that are cut in the data directory. */
final class CutsJson {
  private static final String CUTS = "cuts";
  private static final String SOURCE = "source";
  private static final String DESTINATION = "destination";
  private static final String PROTOCOL = "protocol";
  private static final String SOURCE_PORT = "sourcePort";
  private static final String DESTINATION_PORT = "destinationPort";
  private static final String UNTIL = "until";
  private static final String MISSING = "is missing";
  private static final int MAX_PROTOCOL = 255;

  private CutsJson() {}

  /** Returns the content of the file. */
  static ObjectNode write(Map<CutFlow, Instant> cuts) {
    ObjectNode json = Json.object();
    ArrayNode list = json.putArray(CUTS);
    cuts.forEach(
        (flow, until) ->
            list.addObject()
                .put(SOURCE, InetAddresses.format(flow.source()))
                .put(DESTINATION, InetAddresses.format(flow.destination()))
                .put(PROTOCOL, flow.protocol())
                .put(SOURCE_PORT, flow.sourcePort())
                .put(DESTINATION_PORT, flow.destinationPort())
                .put(UNTIL, until.toString()));
    return json;
  }

  /**
   * Reads the content of the file.
   *
   * @throws CniException code 7 if a value is missing or invalid
   */
  static Map<CutFlow, Instant> read(ObjectNode content) throws CniException {
    Map<CutFlow, Instant> cuts = new HashMap<>();
    for (ConfigObject cut : new ConfigObject(content, "").objects(CUTS)) {
      var flow =
          new CutFlow(
              address(cut, SOURCE),
              address(cut, DESTINATION),
              number(cut, PROTOCOL, MAX_PROTOCOL),
              number(cut, SOURCE_PORT, PortMatch.LAST_PORT),
              number(cut, DESTINATION_PORT, PortMatch.LAST_PORT));
      cuts.put(
          flow, cut.parsed(UNTIL, Instant::parse).orElseThrow(() -> cut.invalid(UNTIL, MISSING)));
    }
    return cuts;
  }

  private static InetAddress address(ConfigObject cut, String key) throws CniException {
    return cut.parsed(key, InetAddresses::parse).orElseThrow(() -> cut.invalid(key, MISSING));
  }

  private static int number(ConfigObject cut, String key, int max) throws CniException {
    return cut.integer(key, 0, max).orElseThrow(() -> cut.invalid(key, MISSING));
  }
}
