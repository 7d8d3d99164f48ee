// SPDX-License-Identifier: Apache-2.0
package cni.doctor.page;

import cni.doctor.traffic.AddressPool;
import cni.doctor.traffic.AttachmentTraffic;
import cni.doctor.traffic.Quantity;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The section of one network: its chain, its attachments and its address pools.
 *
 * @param id the anchor of the section
 */
record NetworkSection(
    String id,
    PageContent.NetworkSummary summary,
    List<AttachmentTraffic> attachments,
    List<AddressPool> pools) {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm").withZone(ZoneId.systemDefault());

  private static final double FULL = 0.9;

  void write(HtmlText html) {
    html.open("section", "id", id, "aria-labelledby", id + "-title");
    html.element("h2", "Network " + summary.name(), "id", id + "-title");
    html.open("p", "class", "soft");
    html.add(
        summary.chain().isEmpty()
            ? "The configuration is not known."
            : "Plugins, in the order of ADD: " + String.join(" → ", summary.chain()));
    html.close("p");
    writeAttachments(html);
    writePools(html);
    html.close("section");
  }

  private void writeAttachments(HtmlText html) {
    if (attachments.isEmpty()) {
      html.element("p", "No containers are attached.");
      return;
    }
    beginTable(
        html, "attachments", "Attachments to " + summary.name() + ", as containers see them");
    titles(html, "Container", "Interface", "State", "Addresses", "Published ports");
    numberTitles(html, "Received", "Sent", "Drops");
    titles(html, "Limits", "Since");
    html.close("tr").close("thead").open("tbody");
    attachments.forEach(it -> writeRow(html, it));
    endTable(html);
  }

  private static void writeRow(HtmlText html, AttachmentTraffic it) {
    html.open("tr");
    html.open("th", "scope", "row");
    html.element(
        "span", AttachmentText.shortId(it.containerId()), "class", "id", "title", it.containerId());
    html.close("th");
    html.element("td", it.interfaceName());
    html.element(
        "td", AttachmentText.state(it), "class", AttachmentText.isPresent(it) ? "good" : "bad");
    html.element("td", String.join(", ", it.addresses()), "class", "wide");
    html.element(
        "td",
        it.ports().stream().map(String::valueOf).collect(Collectors.joining(", ")),
        "class",
        "wide");
    number(
        html, it.statistics().map(s -> Quantity.withUnit(s.received().bytes(), "B")).orElse("–"));
    number(
        html,
        it.statistics().map(s -> Quantity.withUnit(s.transmitted().bytes(), "B")).orElse("–"));
    number(html, it.statistics().map(_ -> String.valueOf(it.drops())).orElse("–"));
    html.element("td", AttachmentText.limits(it), "class", "wide");
    html.element("td", it.storedAt().map(TIME::format).orElse("–"));
    html.close("tr");
  }

  private void writePools(HtmlText html) {
    if (pools.isEmpty()) {
      return;
    }
    beginTable(html, "pools", "Addresses that host-local allocates for " + summary.name());
    titles(html, "Range");
    numberTitles(html, "In use", "Size");
    titles(html, "Fill");
    html.close("tr").close("thead").open("tbody");
    for (AddressPool it : pools) {
      html.open("tr").element("th", it.range(), "scope", "row");
      number(html, String.valueOf(it.used()));
      number(html, Quantity.decimal(it.size().doubleValue()));
      html.open("td", "class", it.fill() >= FULL ? "bad" : "good");
      writeBar(html, it.fill());
      html.add(Math.round(100 * it.fill()) + " %" + (it.fill() >= FULL ? ", almost full" : ""));
      html.close("td").close("tr");
    }
    endTable(html);
  }

  private static void writeBar(HtmlText html, double fill) {
    String width = String.valueOf(Math.clamp(Math.round(100 * fill), 0, 100));
    html.open(
        "svg",
        "class",
        "fill",
        "viewBox",
        "0 0 100 8",
        "preserveAspectRatio",
        "none",
        "aria-hidden",
        "true");
    html.empty("rect", "class", "all", "width", "100", "height", "8", "rx", "2");
    html.empty("rect", "class", "used", "width", width, "height", "8", "rx", "2");
    html.close("svg");
  }

  /** Begins a table that scrolls sideways, also by keyboard, if it is too wide for the screen. */
  private void beginTable(HtmlText html, String name, String caption) {
    beginTable(html, id + "-" + name, name, caption);
  }

  static void beginTable(HtmlText html, String anchor, String name, String caption) {
    html.open(
        "div", "class", "scroll", "tabindex", "0", "role", "region", "aria-labelledby", anchor);
    html.open("table", "class", name);
    html.element("caption", caption, "id", anchor);
    html.open("thead").open("tr");
  }

  static void endTable(HtmlText html) {
    html.close("tbody").close("table").close("div");
  }

  static void titles(HtmlText html, String... titles) {
    for (String title : titles) {
      html.element("th", title, "scope", "col");
    }
  }

  static void numberTitles(HtmlText html, String... titles) {
    for (String title : titles) {
      html.element("th", title, "scope", "col", "class", "number");
    }
  }

  static void number(HtmlText html, String value) {
    html.element("td", value, "class", "number");
  }
}
