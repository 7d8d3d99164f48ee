// SPDX-License-Identifier: Apache-2.0
package cni.doctor.page;

import cni.doctor.page.PageContent.NetworkSummary;
import cni.doctor.page.PageContent.PolicySummary;
import cni.doctor.traffic.AttachmentTraffic;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * A page that shows the networks of a host, their attachments, addresses and policies at one
 * moment. It is one file without scripts, and its content security policy lets it load nothing: it
 * can be mailed, and kept with an incident's notes.
 */
public final class HostPage {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("d MMMM yyyy, HH:mm:ss z", Locale.ENGLISH)
          .withZone(ZoneId.systemDefault());

  private final PageContent content;
  private final List<NetworkSection> networks;
  private final HtmlText html = new HtmlText();

  private HostPage(PageContent content) {
    this.content = content;
    this.networks = sections(content);
  }

  /** Returns the page as HTML. */
  public static String write(PageContent content) {
    var page = new HostPage(content);
    page.writeDocument();
    return page.html.toString();
  }

  /** Returns the networks that are configured, and those that only attachments still name. */
  private static List<NetworkSection> sections(PageContent content) {
    Map<String, NetworkSummary> summaries = new LinkedHashMap<>();
    content.networks().forEach(it -> summaries.put(it.name(), it));
    for (AttachmentTraffic it : content.sample().attachments()) {
      summaries.putIfAbsent(
          it.network(), new NetworkSummary(it.network(), List.of(), Optional.empty()));
    }
    List<NetworkSection> sections = new ArrayList<>();
    for (NetworkSummary summary : summaries.values()) {
      String name = summary.name();
      sections.add(
          new NetworkSection(
              "network-" + (sections.size() + 1),
              summary,
              content.sample().attachments().stream()
                  .filter(it -> it.network().equals(name))
                  .toList(),
              content.sample().pools().stream().filter(it -> it.network().equals(name)).toList()));
    }
    return sections;
  }

  private void writeDocument() {
    html.raw("<!DOCTYPE html>\n").open("html", "lang", "en");
    writeHead();
    html.open("body");
    html.element("a", "Skip to the networks", "class", "skip", "href", "#main");
    writeHeader();
    html.open("main", "id", "main");
    writePicture();
    networks.forEach(it -> it.write(html));
    writePolicies();
    html.close("main");
    writeFooter();
    html.close("body").close("html").raw("\n");
  }

  private void writeHead() {
    html.open("head").empty("meta", "charset", "utf-8");
    html.empty(
        "meta",
        "http-equiv",
        "Content-Security-Policy",
        "content",
        "default-src 'none'; style-src " + PageStyle.policySource());
    html.empty("meta", "name", "viewport", "content", "width=device-width, initial-scale=1");
    html.empty("meta", "name", "color-scheme", "content", "light dark");
    html.element("title", "Networks of " + content.hostName());
    html.open("style").raw(PageStyle.CSS).close("style").close("head");
  }

  private void writeHeader() {
    html.open("header").element("h1", "Networks of " + content.hostName());
    html.open("p", "class", "soft").add("State on ");
    html.element(
        "time",
        TIME.format(content.sample().time()),
        "datetime",
        content.sample().time().truncatedTo(ChronoUnit.SECONDS).toString());
    html.close("p");
    List<AttachmentTraffic> all = content.sample().attachments();
    html.open("dl", "class", "facts");
    fact(networks.size(), "network", "networks");
    long containers = all.stream().map(AttachmentTraffic::containerId).distinct().count();
    long gone = all.stream().filter(it -> !AttachmentText.isPresent(it)).count();
    fact(containers, "container", "containers");
    fact(all.size(), "attachment", "attachments");
    fact(gone, "not present", "not present");
    if (!content.policies().isEmpty()) {
      fact(content.policies().size(), "policy", "policies");
    }
    html.close("dl");
    writeNavigation();
    html.close("header");
  }

  private void fact(long value, String singular, String plural) {
    html.open("div").element("dt", value == 1 ? singular : plural);
    html.element("dd", String.valueOf(value)).close("div");
  }

  private void writeNavigation() {
    html.open("nav", "aria-label", "Sections").open("ul");
    link("picture", "Picture");
    networks.forEach(it -> link(it.id(), it.summary().name()));
    if (!content.policies().isEmpty()) {
      link("policies", "Policies");
    }
    html.close("ul").close("nav");
  }

  private void link(String anchor, String text) {
    html.open("li").element("a", text, "href", "#" + anchor).close("li");
  }

  private void writePicture() {
    html.open("section", "aria-labelledby", "picture");
    html.element("h2", "Host, bridges and containers", "id", "picture");
    if (networks.isEmpty()) {
      html.element("p", "No network is configured, and no container is attached.");
    } else {
      new HostPicture(html).write(content, networks);
    }
    html.close("section");
  }

  private void writePolicies() {
    if (content.policies().isEmpty()) {
      return;
    }
    html.open("section", "aria-labelledby", "policies");
    html.element("h2", "Policies", "id", "policies");
    NetworkSection.beginTable(
        html, "policies-table", "policies", "Policies in force, and those of the files");
    NetworkSection.titles(html, "Policy", "Restricts");
    NetworkSection.numberTitles(html, "Selects");
    NetworkSection.titles(html, "State");
    html.close("tr").close("thead").open("tbody");
    for (PolicySummary it : content.policies()) {
      html.open("tr").element("th", it.name(), "scope", "row").element("td", it.restricts());
      NetworkSection.number(
          html, it.selects() + (it.selects() == 1 ? " attachment" : " attachments"));
      html.element("td", it.state()).close("tr");
    }
    NetworkSection.endTable(html);
    html.close("section");
  }

  private void writeFooter() {
    html.open("footer").open("p").add("Made by ");
    html.element("code", "cni show --html");
    html.add(
        ", version %s. This file is complete: it loads nothing and runs no scripts."
            .formatted(content.version()));
    html.close("p").close("footer");
  }
}
