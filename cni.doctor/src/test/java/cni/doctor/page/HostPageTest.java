// SPDX-License-Identifier: Apache-2.0
package cni.doctor.page;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.Json;
import cni.api.PortMapping;
import cni.doctor.page.PageContent.NetworkSummary;
import cni.doctor.page.PageContent.PolicySummary;
import cni.doctor.page.ParsedPage.Element;
import cni.doctor.traffic.AddressPool;
import cni.doctor.traffic.AttachmentTraffic;
import cni.doctor.traffic.Shaping;
import cni.doctor.traffic.TrafficSample;
import cni.runtime.AttachmentPresence;
import cni.runtime.CachedAttachment;
import java.math.BigInteger;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The page, read back by a parser of its own. */
class HostPageTest {
  private static final String HOSTILE = "\"'><script>alert(1)</script>&lt;\u202e\u0007";

  /** {@link #HOSTILE} without the characters that the page replaces. */
  private static final String SHOWN = "\"'><script>alert(1)</script>&lt;\ufffd\ufffd";

  private static AttachmentTraffic attachment(
      String network, String container, AttachmentPresence presence) {
    var attachment = Attachment.of(container, Path.of("/run/netns/x"), "eth0");
    return new AttachmentTraffic(
        new CachedAttachment(network, attachment, "", Json.object()),
        presence,
        Optional.of(Instant.EPOCH),
        Optional.empty(),
        Optional.of(new Shaping(100_000_000, 3, 4, 5)),
        Optional.empty(),
        List.of("10.1.0.2/24"),
        Optional.empty(),
        List.of(PortMapping.tcp(8080, 80)));
  }

  private static ParsedPage page(List<AttachmentTraffic> attachments, String name) {
    var pools = List.of(new AddressPool(name, "10.1.0.1-10.1.0.10", BigInteger.TEN, 9));
    var networks = List.of(new NetworkSummary(name, List.of("bridge", name), Optional.of(name)));
    var policies = List.of(new PolicySummary(name, 2, "ingress", "in force"));
    var sample = new TrafficSample(Instant.EPOCH, 0, attachments, pools);
    return new ParsedPage(HostPage.write(new PageContent(name, "1.0", sample, networks, policies)));
  }

  private static ParsedPage usualPage() {
    return page(
        List.of(
            attachment("n", "a", AttachmentPresence.PRESENT),
            attachment("n", "b", AttachmentPresence.NAMESPACE_GONE),
            attachment("unknown", "a", AttachmentPresence.INTERFACE_GONE)),
        "n");
  }

  @Test
  void everyTableHasACaptionAndItsTitlesAScope() {
    ParsedPage page = usualPage();
    assertEquals(4, page.all("table").size()); // two networks, a pool, the policies
    for (Element table : page.all("table")) {
      assertEquals(1, page.below(table, "caption").size());
      for (Element row : page.below(table, "tr")) {
        assertTrue(!page.below(row, "th").isEmpty(), row::toString);
      }
    }
    Set<String> scopes = new HashSet<>();
    page.all("th").forEach(it -> scopes.add(it.attribute("scope")));
    assertEquals(Set.of("row", "col"), scopes);
  }

  @Test
  void headingsAreNestedAndReferencesLead() {
    ParsedPage page = usualPage();
    List<String> headings =
        page.all().stream().map(Element::tag).filter(it -> it.matches("h[1-6]")).toList();
    assertEquals(List.of("h1", "h2", "h2", "h2", "h2"), headings);
    List<String> ids = new ArrayList<>();
    page.all().stream().map(it -> it.attribute("id")).filter(it -> !it.isEmpty()).forEach(ids::add);
    assertEquals(ids.size(), Set.copyOf(ids).size(), "an id is used twice");
    for (Element it : page.all()) {
      String label = it.attribute("aria-labelledby");
      assertTrue(label.isEmpty() || ids.contains(label), label);
      String link = it.attribute("href");
      assertTrue(link.isEmpty() || ids.contains(link.substring(1)), link);
    }
    assertEquals("en", page.all("html").getFirst().attribute("lang"));
    assertEquals("#main", page.all("a").getFirst().attribute("href"), "the skip link is first");
  }

  @Test
  void statesAreWordsAndNotColoursOnly() {
    ParsedPage page = usualPage();
    String text = page.all("main").getFirst().text().toString();
    assertTrue(text.contains("▲ no namespace"), text);
    assertTrue(text.contains("▲ no interface"), text);
    assertTrue(text.contains("● up"), text);
    assertTrue(text.contains("90 %, almost full"), text);
    assertTrue(text.contains("in\u00a0100\u00a0Mbit/s"), text);
    assertTrue(text.contains("8080:80/tcp"), text);
    String facts = page.all("dl").getFirst().text().toString();
    assertEquals("networks2containers2attachments3not present2policy1", facts);
  }

  @Test
  void namesAreTextAndNothingElse() {
    ParsedPage page =
        page(List.of(attachment(HOSTILE, HOSTILE, AttachmentPresence.PRESENT)), HOSTILE);
    Set<String> tags = new HashSet<>();
    page.all().forEach(it -> tags.add(it.tag()));
    for (String tag : List.of("script", "img", "link", "iframe", "object", "form", "base")) {
      assertFalse(tags.contains(tag), tag);
    }
    for (Element it : page.all()) {
      for (String name : it.attributes().keySet()) {
        assertFalse(name.startsWith("on") || name.equals("style") || name.equals("src"), name);
      }
    }
    assertEquals("Networks of " + SHOWN, page.all("title").getFirst().text().toString());
    assertEquals("Network " + SHOWN, page.all("h2").get(1).text().toString());
    Element id = page.below(page.all("table").getFirst(), "span").getFirst();
    assertEquals(SHOWN, id.attribute("title"));
    assertEquals("\"'><script>a…", id.text().toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"<p>", "<p></b>", "<p>&x;</p>", "<p a=b></p>", "<p>a < b</p>"})
  void parserRefusesWhatIsNotWellFormed(String html) {
    assertThrows(IllegalArgumentException.class, () -> new ParsedPage(html));
  }

  @Test
  void securityPolicyAllowsTheStyleSheetOnly() throws Exception {
    ParsedPage page = usualPage();
    byte[] style = page.all("style").getFirst().text().toString().getBytes(UTF_8);
    String hash =
        Base64.getEncoder().encodeToString(MessageDigest.getInstance("SHA-256").digest(style));
    Element policy =
        page.all("meta").stream()
            .filter(it -> it.attribute("http-equiv").equals("Content-Security-Policy"))
            .findFirst()
            .orElseThrow();
    assertEquals(
        "default-src 'none'; style-src 'sha256-" + hash + "'", policy.attribute("content"));
    assertFalse(PageStyle.CSS.contains("url(") || PageStyle.CSS.contains("@import"));
  }

  @Test
  void pictureIsBounded() {
    List<AttachmentTraffic> many = new ArrayList<>();
    for (int i = 0; i < 30; i++) {
      many.add(attachment("n", "c" + i, AttachmentPresence.PRESENT));
    }
    ParsedPage page = page(many, "n");
    Element picture = page.all("figure").getFirst();
    assertTrue(picture.text().toString().endsWith("6 more in the table"));
    assertTrue(picture.text().toString().contains("c23"));
    assertFalse(picture.text().toString().contains("c24"));
    Element table = page.all("table").getFirst();
    assertEquals(31, page.below(table, "tr").size());
  }

  @Test
  void emptyHostIsDescribed() {
    var sample = new TrafficSample(Instant.EPOCH, 0, List.of(), List.of());
    var page =
        new ParsedPage(HostPage.write(new PageContent("h", "1.0", sample, List.of(), List.of())));
    assertTrue(page.all("main").getFirst().text().toString().contains("No network is configured"));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void textHasEnoughContrast(boolean isDark) {
    Map<String, String> colours = colours(isDark);
    for (String text : List.of("ink", "soft", "accent", "good", "bad")) {
      for (String ground : List.of("page", "card", "wash", "badwash")) {
        double contrast =
            contrast(colours.getOrDefault(text, ""), colours.getOrDefault(ground, ""));
        assertTrue(contrast >= 4.5, text + " on " + ground + ": " + contrast);
      }
    }
  }

  /** Returns the colours that the style sheet defines; the dark ones come second. */
  private static Map<String, String> colours(boolean isDark) {
    Map<String, String> colours = new HashMap<>();
    int dark = PageStyle.CSS.indexOf("@media (prefers-color-scheme: dark)");
    int end = PageStyle.CSS.indexOf("box-sizing");
    String part = isDark ? PageStyle.CSS.substring(dark, end) : PageStyle.CSS.substring(0, dark);
    Matcher colour = Pattern.compile("--([a-z]+): (#[0-9a-f]{6})").matcher(part);
    while (colour.find()) {
      colours.put(colour.group(1), colour.group(2));
    }
    assertEquals(11, colours.size(), part);
    return colours;
  }

  /** WCAG 2.2, "contrast ratio". */
  private static double contrast(String one, String other) {
    double a = luminance(one);
    double b = luminance(other);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }

  private static double luminance(String colour) {
    double luminance = 0;
    double[] weights = {0.2126, 0.7152, 0.0722};
    for (int i = 0; i < 3; i++) {
      double part = Integer.parseInt(colour, 1 + 2 * i, 3 + 2 * i, 16) / 255.0;
      luminance +=
          weights[i] * (part <= 0.04045 ? part / 12.92 : Math.pow((part + 0.055) / 1.055, 2.4));
    }
    return luminance;
  }
}
