package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.Deadline;
import java.io.IOException;

/** The two protocols. */
enum Family {
  IPV4("ipv4") {
    @Override
    Client open(AttachedLink link, Lease lease, Deadline deadline) throws IOException {
      link.prepare(false);
      return new Client4(link, lease.clientId(), lease.options(), lease.longestPause());
    }
  },
  IPV6("ipv6") {
    @Override
    Client open(AttachedLink link, Lease lease, Deadline deadline)
        throws CniException, IOException {
      link.prepare(true);
      return new Client6(
          link, link.awaitLinkLocal(deadline), lease.clientId(), lease.longestPause());
    }
  };

  private final String text;

  Family(String text) {
    this.text = text;
  }

  /** A client that can speak: the interface is up. */
  abstract Client open(AttachedLink link, Lease lease, Deadline deadline)
      throws CniException, IOException;

  /** As configurations name it. */
  String text() {
    return text;
  }

  static Family parse(String text) {
    for (Family family : values()) {
      if (family.text.equals(text)) {
        return family;
      }
    }
    throw new IllegalArgumentException("is neither ipv4 nor ipv6");
  }
}
