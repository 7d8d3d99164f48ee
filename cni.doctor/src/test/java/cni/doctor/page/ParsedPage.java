// SPDX-License-Identifier: Apache-2.0
package cni.doctor.page;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The elements of a page, read by a parser that accepts only what cannot be misunderstood: every
 * element is closed, every attribute is quoted, every ampersand begins a known entity.
 */
final class ParsedPage {
  private static final Pattern TOKEN =
      Pattern.compile(
          "<!DOCTYPE html>|</(?<end>[a-z][a-z0-9]*)>"
              + "|<(?<start>[a-z][a-z0-9]*)(?<attributes>( [a-zA-Z-]+=\"[^\"<>]*\")*)(?<empty> /)?>"
              + "|(?<text>[^<]+)");

  private static final Pattern ATTRIBUTE = Pattern.compile(" ([a-zA-Z-]+)=\"([^\"]*)\"");
  private static final Pattern ENTITY = Pattern.compile("&(amp|lt|gt|quot|#39);");

  /**
   * An element with the text in it, that of its descendants included.
   *
   * @param index its number on the page
   * @param parent the number of the element that it is in; -1 if there is none
   */
  record Element(
      int index, String tag, Map<String, String> attributes, StringBuilder text, int parent) {
    String attribute(String name) {
      return attributes.getOrDefault(name, "");
    }
  }

  private final List<Element> elements = new ArrayList<>();

  ParsedPage(String html) {
    Deque<Integer> open = new ArrayDeque<>();
    Matcher token = TOKEN.matcher(html);
    int at = 0;
    while (at < html.length()) {
      if (!token.region(at, html.length()).lookingAt()) {
        throw new IllegalArgumentException(
            "not well-formed: " + html.substring(at, Math.min(html.length(), at + 80)));
      }
      at = token.end();
      accept(token, open);
    }
    if (!open.isEmpty()) {
      throw new IllegalArgumentException(elements.get(open.peek()).tag() + " is not closed");
    }
  }

  private void accept(Matcher token, Deque<Integer> open) {
    if (token.group("start") != null) {
      int parent = open.isEmpty() ? -1 : open.peek();
      var attributes = attributes(token.group("attributes"));
      elements.add(
          new Element(
              elements.size(), token.group("start"), attributes, new StringBuilder(), parent));
      if (token.group("empty") == null) {
        open.push(elements.size() - 1);
      }
    } else if (token.group("end") != null) {
      String tag = open.isEmpty() ? "" : elements.get(open.pop()).tag();
      if (!tag.equals(token.group("end"))) {
        throw new IllegalArgumentException(token.group() + " closes " + tag);
      }
    } else if (token.group("text") != null) {
      boolean isStyle = !open.isEmpty() && elements.get(open.peek()).tag().equals("style");
      String text = isStyle ? token.group("text") : unescape(token.group("text"));
      open.forEach(it -> elements.get(it).text().append(text));
    }
  }

  private static Map<String, String> attributes(String text) {
    Map<String, String> attributes = new LinkedHashMap<>();
    Matcher attribute = ATTRIBUTE.matcher(text);
    while (attribute.find()) {
      attributes.put(attribute.group(1), unescape(attribute.group(2)));
    }
    return attributes;
  }

  private static String unescape(String text) {
    if (text.indexOf('>') >= 0) {
      throw new IllegalArgumentException("not escaped: " + text);
    }
    if (ENTITY.matcher(text).replaceAll("").indexOf('&') >= 0) {
      throw new IllegalArgumentException("an ampersand is not escaped: " + text);
    }
    return text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
  }

  List<Element> all() {
    return elements;
  }

  List<Element> all(String tag) {
    return elements.stream().filter(it -> it.tag().equals(tag)).toList();
  }

  /** Returns the elements of a tag below another one. */
  List<Element> below(Element ancestor, String tag) {
    return all(tag).stream().filter(it -> isBelow(it, ancestor)).toList();
  }

  private boolean isBelow(Element element, Element ancestor) {
    for (int at = element.parent(); at >= 0; at = elements.get(at).parent()) {
      if (at == ancestor.index()) {
        return true;
      }
    }
    return false;
  }
}
