// SPDX-License-Identifier: Apache-2.0
package cni.doctor.page;

/**
 * Composes HTML whose elements are all closed, so that it is well-formed XML, too. Text and the
 * values of attributes are escaped: names from the cache may be hostile.
 */
final class HtmlText {
  private static final char REPLACEMENT = '\ufffd';

  private final StringBuilder text = new StringBuilder(16 << 10);

  /**
   * Opens an element.
   *
   * @param attributes names and values in turn
   */
  HtmlText open(String tag, String... attributes) {
    tag(tag, attributes);
    text.append('>');
    return this;
  }

  /** Adds an element that cannot have content. */
  HtmlText empty(String tag, String... attributes) {
    tag(tag, attributes);
    text.append(" />");
    return this;
  }

  private void tag(String tag, String... attributes) {
    text.append('<').append(tag);
    for (int i = 0; i < attributes.length; i += 2) {
      text.append(' ').append(attributes[i]).append("=\"");
      escape(attributes[i + 1]);
      text.append('"');
    }
  }

  HtmlText close(String tag) {
    text.append("</").append(tag).append('>');
    return this;
  }

  /** Adds escaped text. */
  HtmlText add(String content) {
    escape(content);
    return this;
  }

  /** Adds an element that has only text. */
  HtmlText element(String tag, String content, String... attributes) {
    return open(tag, attributes).add(content).close(tag);
  }

  /** Adds markup of this program as it is. */
  HtmlText raw(String markup) {
    text.append(markup);
    return this;
  }

  /**
   * Escapes what HTML gives a meaning, and replaces characters that it does not allow, or that
   * change the direction of the text around them.
   */
  private void escape(String content) {
    content
        .codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '&' -> text.append("&amp;");
                case '<' -> text.append("&lt;");
                case '>' -> text.append("&gt;");
                case '"' -> text.append("&quot;");
                case '\'' -> text.append("&#39;");
                default -> text.appendCodePoint(isAllowed(c) ? c : REPLACEMENT);
              }
            });
  }

  private static boolean isAllowed(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.UNASSIGNED -> false;
      default -> true;
    };
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
