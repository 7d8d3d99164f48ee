// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.Excerpt;
import cni.api.internal.NullChecks;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamWriteConstraints;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.exc.StreamReadException;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/** Reads and writes JSON trees. Jackson is configured nowhere else. */
public final class Json {
  /** The deepest nesting that is read. The deepest known configuration has 10 levels. */
  private static final int MAX_DEPTH = 400;

  /** The deepest nesting that is written: what was read, within the objects of the protocol. */
  private static final int MAX_WRITTEN_DEPTH = 2 * MAX_DEPTH;

  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(MAX_DEPTH).build())
          .streamWriteConstraints(
              StreamWriteConstraints.builder().maxNestingDepth(MAX_WRITTEN_DEPTH).build())
          .build();

  /**
   * The parts of Jackson's messages that name its own methods and features: of a limit, of where an
   * object or a list began (which is redacted), of a comment, and of NaN.
   */
  private static final Pattern JACKSON_INTERNALS =
      Pattern.compile(
          ", from `[^`]*`"
              + "| \\((?:start marker|for \\w+ starting) at \\[Source: [^\\]]*\\]\\)"
              + "| \\(not recognized as one since Feature '\\w+' not enabled for parser\\)"
              + "|: enable `[^`]*` to allow");

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
    requireNonNull(text, "text");
    requireNonNull(source, "source");
    JsonNode node = parseAny(text, source);
    if (node instanceof ObjectNode object) {
      return object;
    }
    throw new CniException(
        ErrorCode.DECODING_FAILURE,
        node.isMissingNode()
            ? source + " is empty; it must be a JSON object"
            : source + " must be a JSON object, not " + ConfigErrors.typeWithArticle(node));
  }

  /** Whether a text that is no JSON in UTF-8 begins with a byte order mark or letter of UTF-16. */
  private static boolean isUtf16(byte[] text) {
    if (text.length < 2) {
      return false;
    }
    boolean hasMark =
        (text[0] == (byte) 0xfe && text[1] == (byte) 0xff)
            || (text[0] == (byte) 0xff && text[1] == (byte) 0xfe);
    return hasMark || (text[0] == 0) != (text[1] == 0);
  }

  /**
   * Parses one JSON value of any type.
   *
   * @param text UTF-8; invalid bytes are replaced
   * @param source the origin of the text, such as a file name, for messages
   * @return a missing node if there is only white space
   * @throws CniException code 6 if it is not JSON, with the line and column, which the cause has
   *     too if it is a {@link JacksonException}
   */
  public static JsonNode parseAny(byte[] text, String source) throws CniException {
    requireNonNull(text, "text");
    requireNonNull(source, "source");
    String characters = new String(text, StandardCharsets.UTF_8);
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), characters)) {
      JsonNode node = JsonTreeCodec.read(parser);
      if (parser.nextToken() != null) {
        throw new StreamReadException(
            parser, "there is text after its end", parser.currentTokenLocation());
      }
      return node;
    } catch (JacksonException e) {
      if (isUtf16(text)) {
        throw new CniException(ErrorCode.DECODING_FAILURE, source + " is UTF-16: save it as UTF-8");
      }
      throw invalid(source, e.getLocation(), reason(e), e);
    } catch (ArithmeticException | NumberFormatException e) { // such as 1e99999999999
      throw invalid(source, null, "a number is out of range", e);
    }
  }

  /**
   * Returns the lines at which the values with the given paths begin, for messages. Paths are
   * written as in the messages of {@link ConfigObject}, such as {@code ingress[0].ports}; that of
   * the whole text is empty. Of a repeated key the last line is returned.
   *
   * @param text UTF-8 that {@link #parseAny} has read without an error
   * @param maxDepth the depth below which values are skipped
   */
  public static Map<String, Integer> lines(byte[] text, Set<String> paths, int maxDepth) {
    requireNonNull(text, "text");
    NullChecks.requireElements(paths, "paths");
    String characters = new String(text, StandardCharsets.UTF_8);
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), characters)) {
      return new JsonLines(parser, paths, maxDepth).find();
    }
  }

  private static String reason(JacksonException e) {
    return JACKSON_INTERNALS.matcher(e.getOriginalMessage()).replaceAll("");
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
    requireNonNull(text, "text");
    return parse(text.getBytes(StandardCharsets.UTF_8), source);
  }

  /**
   * Returns a shallow copy that may be changed. In contrast to {@link ObjectNode#setAll}, {@link
   * ConfigObject} refuses in the copy the same repeated keys as in the original.
   */
  public static ObjectNode copy(ObjectNode object) {
    requireNonNull(object, "object");
    ObjectNode copy = object();
    copy.setAll(object);
    return RepeatedKeysNode.mark(copy, object);
  }

  /** Returns the tree as one line of UTF-8. */
  public static byte[] bytes(JsonNode node) {
    requireNonNull(node, "node");
    var bytes = new ByteArrayOutputStream(1024);
    try (JsonGenerator out = FACTORY.createGenerator(ObjectWriteContext.empty(), bytes)) {
      JsonTreeCodec.write(out, node);
    }
    return bytes.toByteArray();
  }

  /**
   * Returns the tree as indented text, laid out as by the Go plugins: {@code "key": value}, four
   * spaces per level, one element per line.
   */
  public static String pretty(JsonNode node) {
    requireNonNull(node, "node");
    return JsonPrinter.print(node);
  }

  /** Prints the tree as {@link #pretty} does, in UTF-8 whatever the locale, and a line break. */
  public static void print(JsonNode node, PrintStream out) {
    requireNonNull(node, "node");
    requireNonNull(out, "out");
    byte[] text = (pretty(node) + "\n").getBytes(StandardCharsets.UTF_8);
    out.write(text, 0, text.length);
    out.flush();
  }

  /**
   * Returns the text for a message: as a JSON string with quotes and escapes, of which at most the
   * first {@value Excerpt#MAX_LENGTH} characters are kept.
   */
  public static String quote(String text) {
    requireNonNull(text, "text");
    return new String(bytes(StringNode.valueOf(Excerpt.cut(text))), StandardCharsets.UTF_8)
        + Excerpt.suffix(text);
  }

  /** Returns the value as JSON for a message, of at most {@value Excerpt#MAX_LENGTH} characters. */
  public static String excerpt(JsonNode value) {
    requireNonNull(value, "value");
    if (value.isString()) {
      return quote(value.stringValue());
    }
    var text = new Excerpt.Collector();
    try (JsonGenerator out = FACTORY.createGenerator(ObjectWriteContext.empty(), text)) {
      JsonTreeCodec.write(out, value);
    }
    return text.toString();
  }
}
