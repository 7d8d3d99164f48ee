// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The form of commands in remedies. */
class RemedyTextTest {
  @Test
  void onlyOddArgumentsAreQuoted() {
    assertEquals(
        "/etc/cni/net.d/10-n.conf", RemedyText.quoted(Path.of("/etc/cni/net.d/10-n.conf")));
    assertEquals("'a b; rm'", RemedyText.quoted("a b; rm"));
    assertEquals("'it'\\''s'", RemedyText.quoted("it's"));
  }

  @Test
  void namespaceIsQuoted() {
    assertEquals("ip -n 'a b' link", IpCommand.in(Path.of("/run/netns/a b"), "link"));
    assertEquals("nsenter --net='/tmp/a b' ip link", IpCommand.in(Path.of("/tmp/a b"), "link"));
  }
}
