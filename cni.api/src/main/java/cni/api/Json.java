package cni.api;

import java.nio.charset.StandardCharsets;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/** Reading and writing JSON trees; the one place where the JSON library is set up. */
public final class Json {
  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .build();

  private Json() {}

  /** A new, empty object. */
  public static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  /**
   * Reads one JSON object.
   *
   * @param text UTF-8
   * @param source where it comes from, for the message
   * @throws CniException code 6, with line and column, if it is not JSON or not an object
   */
  public static ObjectNode parse(byte[] text, String source) throws CniException {
    JsonNode node;
    try {
      // As for Go, what is not UTF-8 is replaced, and the last of several equal keys counts.
      node = MAPPER.readTree(new String(text, StandardCharsets.UTF_8));
    } catch (JacksonException e) {
      var at = e.getLocation();
      String where =
          at == null ? "" : " (line " + at.getLineNr() + ", column " + at.getColumnNr() + ")";
      throw new CniException(
          ErrorCode.DECODING_FAILURE,
          source + " is not valid JSON" + where + ": " + e.getOriginalMessage(),
          e);
    }
    if (node instanceof ObjectNode object) {
      return object;
    }
    throw new CniException(
        ErrorCode.DECODING_FAILURE,
        source + " must be a JSON object, not " + ConfigObject.kind(node));
  }

  /** As {@link #parse(byte[], String)}, for a string. */
  public static ObjectNode parse(String text, String source) throws CniException {
    return parse(text.getBytes(StandardCharsets.UTF_8), source);
  }

  /** The tree in one line. */
  public static byte[] bytes(JsonNode node) {
    return MAPPER.writeValueAsBytes(node);
  }

  /** The tree laid out for people. */
  public static String pretty(JsonNode node) {
    return MAPPER.writer().with(SerializationFeature.INDENT_OUTPUT).writeValueAsString(node);
  }

  /** The text as a JSON string, with its quotes: safe to put into a message. */
  public static String quote(String text) {
    return StringNode.valueOf(text).toString();
  }
}
