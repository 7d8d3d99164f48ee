// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.NetNsSnapshot;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

/** What attachments change on a {@link TestHost}: links, addresses, routes, chains and files. */
final class HostState {
  /** Deleted files that are kept for reuse. */
  static final Pattern RECYCLED = Pattern.compile("/(spare|\\.unnamed)\\.[\\p{XDigit}-]+\\.");

  private HostState() {}

  /** Returns the present state of the host, its directory and a container. */
  static Set<String> of(TestHost host, NetNs container) throws IOException {
    var lines = new TreeSet<String>();
    for (String line : NetNsSnapshot.of(host.netns()).lines()) {
      if (!line.startsWith("link br0 ")) { // its MTU, MAC and state follow its ports
        lines.add(line);
      }
    }
    lines.addAll(NetNsSnapshot.of(container).lines());
    for (String line : NetNsSnapshot.of(host.directory()).lines()) {
      if (!RECYCLED.matcher(line).find() && !line.contains("last_reserved_ip")) {
        lines.add(line);
      }
    }
    return lines;
  }

  /** Returns how a state differs from the expected one; empty if it does not. */
  static String difference(Set<String> expected, Set<String> state) {
    if (state.equals(expected)) {
      return "";
    }
    var added = new TreeSet<>(state);
    added.removeAll(expected);
    var missing = new TreeSet<>(expected);
    missing.removeAll(state);
    return "left " + added + ", missing " + missing;
  }
}
