package cni.conformance;

import cni.api.CniException;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import tools.jackson.databind.node.ObjectNode;

/** Results in other versions of the specification. */
final class Versions {
  private Versions() {}

  static ObjectNode convert(ObjectNode result, SpecVersion version) throws CniException {
    return ResultJson.write(ResultJson.read(result, SpecVersion.CURRENT), version);
  }
}
