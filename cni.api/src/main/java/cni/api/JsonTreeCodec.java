// SPDX-License-Identifier: Apache-2.0
package cni.api;

import java.math.BigDecimal;
import java.util.Map;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.BinaryNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.MissingNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads trees from a Jackson parser and writes them to a generator. Replaces Jackson's
 * ObjectMapper, whose initialization takes as long as the rest of a process's first ADD.
 */
final class JsonTreeCodec {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  /**
   * The largest power of ten of a number, as an absolute value. Go's float64 has 308; a number such
   * as 1e999999999 would need a gigabyte when it is converted to an integer.
   */
  private static final int MAX_EXPONENT = 400;

  private JsonTreeCodec() {}

  /**
   * Reads the value that begins with the next token.
   *
   * @return a missing node if there is no token
   */
  static JsonNode read(JsonParser parser) {
    JsonToken token = parser.nextToken();
    return token == null ? MissingNode.getInstance() : value(parser, token);
  }

  private static JsonNode value(JsonParser parser, JsonToken token) {
    return switch (token) {
      case START_OBJECT -> object(parser);
      case START_ARRAY -> array(parser);
      case VALUE_STRING -> NODES.stringNode(parser.getString());
      case VALUE_NUMBER_INT -> integer(parser);
      case VALUE_NUMBER_FLOAT -> decimal(parser.getDecimalValue());
      case VALUE_TRUE -> NODES.booleanNode(true);
      case VALUE_FALSE -> NODES.booleanNode(false);
      case VALUE_NULL -> NODES.nullNode();
      default -> throw new IllegalStateException("no value begins with " + token);
    };
  }

  /** Of equal keys the last is used, as for Go's encoding/json; see {@link RepeatedKeysNode}. */
  private static ObjectNode object(JsonParser parser) {
    ObjectNode object = NODES.objectNode();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String name = parser.currentName();
      JsonNode previous = object.replace(name, value(parser, parser.nextToken()));
      if (previous != null) {
        object = RepeatedKeysNode.add(object, name);
      }
    }
    return object;
  }

  private static ArrayNode array(JsonParser parser) {
    ArrayNode array = NODES.arrayNode();
    JsonToken token = parser.nextToken();
    while (token != JsonToken.END_ARRAY) {
      array.add(value(parser, token));
      token = parser.nextToken();
    }
    return array;
  }

  private static JsonNode decimal(BigDecimal number) {
    if (Math.abs((long) number.precision() - number.scale()) > MAX_EXPONENT) {
      throw new ArithmeticException("the exponent of a number is too large");
    }
    return NODES.numberNode(number);
  }

  private static JsonNode integer(JsonParser parser) {
    return switch (parser.getNumberType()) {
      case INT -> NODES.numberNode(parser.getIntValue());
      case LONG -> NODES.numberNode(parser.getLongValue());
      default -> NODES.numberNode(parser.getBigIntegerValue());
    };
  }

  /** Writes a tree. */
  static void write(JsonGenerator out, JsonNode node) {
    if (node instanceof ObjectNode object) {
      out.writeStartObject();
      for (Map.Entry<String, JsonNode> property : object.properties()) {
        out.writeName(property.getKey());
        write(out, property.getValue());
      }
      out.writeEndObject();
    } else if (node instanceof ArrayNode array) {
      out.writeStartArray();
      for (JsonNode element : array) {
        write(out, element);
      }
      out.writeEndArray();
    } else if (node instanceof BinaryNode binary) {
      out.writeBinary(binary.binaryValue());
    } else {
      writeScalar(out, node);
    }
  }

  private static void writeScalar(JsonGenerator out, JsonNode node) {
    switch (node.getNodeType()) {
      case STRING -> out.writeString(node.stringValue());
      case BOOLEAN -> out.writeBoolean(node.booleanValue());
      case NULL -> out.writeNull();
      case NUMBER -> writeNumber(out, node);
      default -> throw new IllegalArgumentException("no JSON: " + node.getNodeType());
    }
  }

  private static void writeNumber(JsonGenerator out, JsonNode node) {
    switch (node.numberType()) {
      case INT -> out.writeNumber(node.intValue());
      case LONG -> out.writeNumber(node.longValue());
      case BIG_INTEGER -> out.writeNumber(node.bigIntegerValue());
      case FLOAT, DOUBLE -> out.writeNumber(node.doubleValue());
      default -> out.writeNumber(node.decimalValue());
    }
  }
}
