// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import java.util.HashSet;
import java.util.Set;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The file of the guards in the data directory. */
final class GuardsJson {
  private static final String GUARDS = "guards";
  private static final String PREFIX = "prefix";
  private static final String BRIDGE = "bridge";
  private static final String EXEMPT = "exempt";

  private GuardsJson() {}

  /** Returns the content of the file. */
  static ObjectNode write(PolicyState state) {
    ObjectNode json = Json.object();
    ArrayNode guards = json.putArray(GUARDS);
    for (PolicyState.Guard guard : state.guards()) {
      ObjectNode item = guards.addObject().put(PREFIX, guard.prefix().toString());
      guard.bridge().ifPresent(bridge -> item.put(BRIDGE, bridge));
    }
    ArrayNode exempt = json.putArray(EXEMPT);
    state.exempt().forEach(exempt::add);
    return json;
  }

  /**
   * Returns a state with the guards of a file.
   *
   * @throws CniException code 7 if a value is missing or invalid
   */
  static PolicyState read(ObjectNode content, PolicyState state) throws CniException {
    var json = new ConfigObject(content, "");
    Set<PolicyState.Guard> guards = new HashSet<>();
    for (ConfigObject guard : json.objects(GUARDS)) {
      Cidr prefix =
          guard.parsed(PREFIX, Cidr::parse).orElseThrow(() -> guard.invalid(PREFIX, "is missing"));
      guards.add(new PolicyState.Guard(prefix, guard.nonEmpty(BRIDGE)));
    }
    return state.withGuards(guards, Set.copyOf(json.texts(EXEMPT)));
  }
}
