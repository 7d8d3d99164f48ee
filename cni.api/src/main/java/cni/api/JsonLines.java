// SPDX-License-Identifier: Apache-2.0
package cni.api;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Finds the lines of values in a JSON text. */
final class JsonLines {
  private final JsonParser parser;
  private final Set<String> paths;
  private final int maxDepth;
  private final Map<String, Integer> lines = new HashMap<>();

  JsonLines(JsonParser parser, Set<String> paths, int maxDepth) {
    this.parser = parser;
    this.paths = paths;
    this.maxDepth = maxDepth;
  }

  Map<String, Integer> find() {
    JsonToken token = parser.nextToken();
    if (token != null) {
      value(token, "", 0);
    }
    return lines;
  }

  private void value(JsonToken token, String path, int depth) {
    if (paths.contains(path)) {
      lines.put(path, parser.currentTokenLocation().getLineNr());
    }
    if (depth >= maxDepth) {
      parser.skipChildren();
    } else if (token == JsonToken.START_OBJECT) {
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String key = parser.currentName();
        value(parser.nextToken(), path.isEmpty() ? key : path + "." + key, depth + 1);
      }
    } else if (token == JsonToken.START_ARRAY) {
      JsonToken element = parser.nextToken();
      for (int i = 0; element != JsonToken.END_ARRAY; i++) {
        value(element, path + "[" + i + "]", depth + 1);
        element = parser.nextToken();
      }
    }
  }
}
