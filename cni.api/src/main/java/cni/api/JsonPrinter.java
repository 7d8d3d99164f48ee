package cni.api;

import java.util.Arrays;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.PrettyPrinter;

/**
 * Indents JSON as the Go plugins do, which print with {@code json.MarshalIndent(result, "", " ")}
 * and four spaces: {@code "key": value}, one element per line, and no line break in an empty object
 * or list. Made for one document, and used by one thread.
 */
final class JsonPrinter implements PrettyPrinter {
  private static final int INDENT = 4;

  /** A line break and the indentation of the deepest level that is written at once. */
  private static final char[] LINE = line(16);

  private int level;

  private static char[] line(int levels) {
    char[] line = new char[1 + levels * INDENT];
    Arrays.fill(line, ' ');
    line[0] = '\n';
    return line;
  }

  private void breakLine(JsonGenerator out) {
    int length = 1 + level * INDENT;
    char[] line = length <= LINE.length ? LINE : line(level);
    out.writeRaw(line, 0, length);
  }

  private void end(JsonGenerator out, int entries, char bracket) {
    level--;
    if (entries > 0) {
      breakLine(out);
    }
    out.writeRaw(bracket);
  }

  @Override
  public void writeStartObject(JsonGenerator out) {
    out.writeRaw('{');
    level++;
  }

  @Override
  public void beforeObjectEntries(JsonGenerator out) {
    breakLine(out);
  }

  @Override
  public void writeObjectNameValueSeparator(JsonGenerator out) {
    out.writeRaw(": ");
  }

  @Override
  public void writeObjectEntrySeparator(JsonGenerator out) {
    out.writeRaw(',');
    breakLine(out);
  }

  @Override
  public void writeEndObject(JsonGenerator out, int entries) {
    end(out, entries, '}');
  }

  @Override
  public void writeStartArray(JsonGenerator out) {
    out.writeRaw('[');
    level++;
  }

  @Override
  public void beforeArrayValues(JsonGenerator out) {
    breakLine(out);
  }

  @Override
  public void writeArrayValueSeparator(JsonGenerator out) {
    out.writeRaw(',');
    breakLine(out);
  }

  @Override
  public void writeEndArray(JsonGenerator out, int entries) {
    end(out, entries, ']');
  }

  @Override
  public void writeRootValueSeparator(JsonGenerator out) {
    out.writeRaw('\n');
  }
}
