// SPDX-License-Identifier: Apache-2.0
package cni.doctor.page;

import cni.doctor.traffic.AttachmentTraffic;
import java.util.List;

/**
 * The picture of the host: a box with the networks' bridges, from which containers hang. It is a
 * nested list whose lines are drawn by the style sheet, so that it can be read aloud, and flows on
 * a narrow screen.
 */
final class HostPicture {
  /** The containers that are drawn of each network; the table has all. */
  private static final int MAX_DRAWN = 24;

  private static final int MAX_PORTS = 3;

  private final HtmlText html;

  HostPicture(HtmlText html) {
    this.html = html;
  }

  void write(PageContent content, List<NetworkSection> networks) {
    html.open("figure", "class", "host", "aria-labelledby", "picture");
    html.element("p", "host " + content.hostName());
    html.open("ul");
    for (NetworkSection it : networks) {
      html.open("li", "class", "net");
      writeBridge(it);
      writePorts(it.attachments());
      html.close("li");
    }
    html.close("ul").close("figure");
  }

  private void writeBridge(NetworkSection network) {
    html.open("div", "class", "bridge");
    html.element("b", network.summary().bridge().orElse(network.summary().name()));
    String kind =
        network.summary().bridge().isPresent()
            ? "bridge of network " + network.summary().name()
            : String.join(", ", network.summary().chain().stream().limit(1).toList());
    html.element("span", kind, "class", "soft");
    html.close("div");
  }

  private void writePorts(List<AttachmentTraffic> attachments) {
    if (attachments.isEmpty()) {
      return;
    }
    html.open("ul", "class", "ports");
    attachments.stream().limit(MAX_DRAWN).forEach(this::writeBox);
    if (attachments.size() > MAX_DRAWN) {
      html.element("li", attachments.size() - MAX_DRAWN + " more in the table", "class", "more");
    }
    html.close("ul");
  }

  private void writeBox(AttachmentTraffic it) {
    html.open("li", "class", AttachmentText.isPresent(it) ? "here" : "gone");
    html.open("div", "class", "box");
    html.element("span", AttachmentText.shortId(it.containerId()), "class", "id");
    html.element("span", it.interfaceName() + " " + AttachmentText.state(it), "class", "soft");
    it.addresses().forEach(address -> html.element("span", address));
    it.ports().stream()
        .limit(MAX_PORTS)
        .forEach(port -> html.element("span", "host port " + port, "class", "soft"));
    html.close("div").close("li");
  }
}
