// SPDX-License-Identifier: Apache-2.0
package cni.api;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * Prints a tree as the Go plugins do with {@code json.MarshalIndent} and four spaces: {@code "key":
 * value}, one element per line, and no line break in an empty object or list. In contrast to Go,
 * the characters {@code < > &} are not escaped.
 *
 * <p>Appends plain text itself and leaves what needs escapes to Jackson: on a result this takes
 * half the time of Jackson's generator with the same layout.
 */
final class JsonPrinter {
  private static final int INDENT = 4;

  private static final char[] LINE = line(16);

  private final StringBuilder out = new StringBuilder(1024);
  private int level;

  private JsonPrinter() {}

  /** Returns the text of a tree, without a line break at its end. */
  static String print(JsonNode node) {
    var printer = new JsonPrinter();
    printer.value(node);
    return printer.out.toString();
  }

  private void value(JsonNode node) {
    if (node instanceof ObjectNode object) {
      object(object);
    } else if (node instanceof ArrayNode array) {
      array(array);
    } else if (node.isString()) {
      string(node.stringValue());
    } else {
      scalar(node);
    }
  }

  private void object(ObjectNode object) {
    out.append('{');
    level++;
    boolean first = true;
    for (Map.Entry<String, JsonNode> property : object.properties()) {
      beginElement(first);
      string(property.getKey());
      out.append(": ");
      value(property.getValue());
      first = false;
    }
    end(first, '}');
  }

  private void array(ArrayNode array) {
    out.append('[');
    level++;
    boolean first = true;
    for (JsonNode element : array) {
      beginElement(first);
      value(element);
      first = false;
    }
    end(first, ']');
  }

  private void beginElement(boolean first) {
    if (!first) {
      out.append(',');
    }
    breakLine();
  }

  private void end(boolean empty, char bracket) {
    level--;
    if (!empty) {
      breakLine();
    }
    out.append(bracket);
  }

  private void breakLine() {
    int length = 1 + level * INDENT;
    out.append(length <= LINE.length ? LINE : line(level), 0, length);
  }

  private static char[] line(int levels) {
    char[] line = new char[1 + levels * INDENT];
    Arrays.fill(line, ' ');
    line[0] = '\n';
    return line;
  }

  private void string(String text) {
    if (isPlain(text)) {
      out.append('"').append(text).append('"');
    } else {
      scalar(StringNode.valueOf(text));
    }
  }

  private static boolean isPlain(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c < ' ' || c == '"' || c == '\\' || Character.isSurrogate(c)) {
        return false;
      }
    }
    return true;
  }

  private void scalar(JsonNode node) {
    if (node.isInt()) {
      out.append(node.intValue());
    } else {
      out.append(new String(Json.bytes(node), StandardCharsets.UTF_8));
    }
  }
}
