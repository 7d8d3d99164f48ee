package cni.api;

import java.io.ByteArrayOutputStream;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.PrettyPrinter;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.util.DefaultPrettyPrinter;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/** Reads and writes JSON trees. Jackson is configured nowhere else. */
public final class Json {
  private static final JsonFactory FACTORY = new JsonFactory();

  private static final ObjectWriteContext PRETTY =
      new ObjectWriteContext.Base() {
        @Override
        public PrettyPrinter getPrettyPrinter() {
          return new DefaultPrettyPrinter();
        }

        @Override
        public boolean hasPrettyPrinter() {
          return true;
        }
      };

  private Json() {}

  /** Returns a new, empty object. */
  public static ObjectNode object() {
    return JsonNodeFactory.instance.objectNode();
  }

  /**
   * Parses one JSON object.
   *
   * @param text UTF-8; invalid bytes are replaced, as by Go's encoding/json
   * @param source the origin of the text, such as a file name, for messages
   * @throws CniException code 6, with line and column, if it is not JSON or not an object
   */
  public static ObjectNode parse(byte[] text, String source) throws CniException {
    JsonNode node;
    String characters = new String(text, StandardCharsets.UTF_8);
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), characters)) {
      node = JsonTreeCodec.read(parser);
      if (parser.nextToken() != null) {
        throw invalid(source, parser.currentTokenLocation(), "there is text after its end", null);
      }
    } catch (JacksonException e) {
      throw invalid(source, e.getLocation(), e.getOriginalMessage(), e);
    } catch (ArithmeticException | NumberFormatException e) { // such as 1e99999999999
      throw invalid(source, null, "a number is out of range", e);
    }
    if (node instanceof ObjectNode object) {
      return object;
    }
    throw new CniException(
        ErrorCode.DECODING_FAILURE,
        node.isMissingNode()
            ? source + " is empty; it must be a JSON object"
            : source + " must be a JSON object, not " + ConfigErrors.typeWithArticle(node));
  }

  private static CniException invalid(
      String source, @Nullable TokenStreamLocation at, String why, @Nullable Exception cause) {
    String location =
        at == null ? "" : " (line " + at.getLineNr() + ", column " + at.getColumnNr() + ")";
    return new CniException(
        ErrorCode.DECODING_FAILURE, source + " is not valid JSON" + location + ": " + why, cause);
  }

  /** Parses one JSON object, as {@link #parse(byte[], String)} does. */
  public static ObjectNode parse(String text, String source) throws CniException {
    return parse(text.getBytes(StandardCharsets.UTF_8), source);
  }

  /** Returns the tree as one line of UTF-8. */
  public static byte[] bytes(JsonNode node) {
    var bytes = new ByteArrayOutputStream(1024);
    try (JsonGenerator out = FACTORY.createGenerator(ObjectWriteContext.empty(), bytes)) {
      JsonTreeCodec.write(out, node);
    }
    return bytes.toByteArray();
  }

  /** Returns the tree as indented text. */
  public static String pretty(JsonNode node) {
    var text = new StringWriter();
    try (JsonGenerator out = FACTORY.createGenerator(PRETTY, text)) {
      JsonTreeCodec.write(out, node);
    }
    return text.toString();
  }

  /** Returns the text as a JSON string with quotes and escapes, safe to put into a message. */
  public static String quote(String text) {
    return new String(bytes(StringNode.valueOf(text)), StandardCharsets.UTF_8);
  }
}
