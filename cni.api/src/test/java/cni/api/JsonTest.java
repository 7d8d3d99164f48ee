// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

class JsonTest {
  private static CniException refused(String text) {
    return assertThrows(CniException.class, () -> Json.parse(text, "it"));
  }

  /** The expected text was printed by Go's json.MarshalIndent(value, "", " "). */
  @Test
  void layoutIsThatOfTheGoPlugins() throws CniException {
    ObjectNode json =
        Json.parse(
            "{\"a\":{},\"b\":[],\"c\":[[1,\"x\"],{\"d\":null}],\"e\":1.50,\"f\":true}", "it");
    assertEquals(
        """
        {
            "a": {},
            "b": [],
            "c": [
                [
                    1,
                    "x"
                ],
                {
                    "d": null
                }
            ],
            "e": 1.50,
            "f": true
        }""",
        Json.pretty(json));
    assertEquals("{}", Json.pretty(Json.object()));
    String deep = "[".repeat(40) + "]".repeat(40);
    String printed = Json.pretty(Json.parse("{\"a\":" + deep + "}", "it"));
    assertTrue(printed.contains("\n" + " ".repeat(4 * 40) + "[]\n"), printed);
  }

  @Test
  void outputIsUtf8WhateverTheStreamsCharset() {
    var bytes = new ByteArrayOutputStream();
    Json.print(StringNode.valueOf("é<&>"), new PrintStream(bytes, true, StandardCharsets.US_ASCII));
    assertEquals("\"é<&>\"\n", bytes.toString(StandardCharsets.UTF_8));
  }

  @Test
  void incompleteSurrogatesAreEscaped() throws CniException {
    ObjectNode json = Json.parse("{\"a\\ud800\":\"\\udc00x\\ud83d\\ude00\"}", "it");
    assertEquals(
        "{\"a\\uD800\":\"\\uDC00x\ud83d\ude00\"}",
        new String(Json.bytes(json), StandardCharsets.UTF_8));
    assertEquals("\"\\uD800\"", Json.quote("\ud800"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "1e999999999",
        "1e99999999999",
        "-1e500",
        "1e-999999999",
        "1E+2147483647",
        "0e999999999"
      })
  void numbersBeyondAnyUseAreRefused(String number) {
    CniException e = refused("{\"a\": " + number + "}");
    assertEquals(6, e.code());
    assertEquals("it is not valid JSON: a number is out of range", e.getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "{|2|Unexpected end-of-input: expected close marker for Object",
        "[1|3|Unexpected end-of-input: expected close marker for Array",
        "{ \"a\": [ }|10|Unexpected close marker '}': expected ']'",
        "{ \"a\": /* x */ 1 }|8|Unexpected character ('/' (code 47)): maybe a (non-standard) comment?",
        "{ \"a\": NaN }|11|Non-standard token 'NaN'"
      })
  void messagesNameThePlaceAndNothingOfTheParser(String text, int column, String reason) {
    String message = "it is not valid JSON (line %d, column %d): %s";
    assertEquals(message.formatted(1, column, reason), refused(text).getMessage());
    assertEquals(message.formatted(2, column, reason), refused("\n" + text).getMessage());
  }

  @Test
  void allNumbersOfGoAreRead() throws CniException {
    for (String number : List.of("1.7976931348623157e308", "5e-324", "18446744073709551615")) {
      assertEquals(
          Double.parseDouble(number),
          Json.parse("{\"a\": " + number + "}", "it").get("a").asDouble());
    }
  }

  @Test
  void nestingIsBounded() throws CniException {
    for (String open : List.of("[", "{\"a\":")) {
      CniException e = refused("{\"a\":" + open.repeat(100_000));
      assertEquals(6, e.code());
      assertTrue(e.getMessage().endsWith("exceeds the maximum allowed (400)"), e::getMessage);
    }
    ObjectNode deepest = Json.parse("{\"a\":" + "[".repeat(399) + "]".repeat(399) + "}", "it");
    ObjectNode request = Json.object();
    request.putObject("runtimeConfig").set("capability", deepest);
    assertEquals(399, Json.pretty(request).chars().filter(c -> c == '[').count());
  }

  @Test
  void quotedTextIsBoundedAndCutBetweenCharacters() {
    assertEquals("\"a\\\"b\"", Json.quote("a\"b"));
    assertEquals("\"" + "x".repeat(200) + "\"", Json.quote("x".repeat(200)));
    assertEquals("\"" + "x".repeat(200) + "\"… (201 characters)", Json.quote("x".repeat(201)));
    String smile = "\ud83d\ude00";
    assertEquals("\"" + smile.repeat(200) + "\"", Json.quote(smile.repeat(200)));
    assertEquals(
        "\"x" + smile.repeat(199) + "\"… (100001 characters)",
        Json.quote("x" + smile.repeat(100_000)));
  }

  @Test
  void quotedValuesAreBounded() throws CniException {
    ObjectNode json =
        Json.parse("{\"a\":[" + "1,".repeat(100_000) + "1],\"b\":[1,\"x\"],\"c\":\"d\"}", "it");
    assertEquals("[" + "1,".repeat(99) + "1… (200003 characters)", Json.excerpt(json.get("a")));
    assertEquals("[1,\"x\"]", Json.excerpt(json.get("b")));
    assertEquals("\"d\"", Json.excerpt(json.get("c")));
  }

  @Test
  void messagesAreBounded() {
    var error = new CniException(7, "x".repeat(100_000), "", null);
    assertEquals("x".repeat(4000) + "… (100000 characters)", error.getMessage());
    CniException outer = error.withContext("a".repeat(5000));
    assertTrue(outer.getMessage().length() < 4100);
  }
}
