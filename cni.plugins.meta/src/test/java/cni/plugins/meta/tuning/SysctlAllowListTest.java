// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SysctlAllowListTest {
  @Test
  void keyIsAllowedIfAnyLineMatchesPartOfIt() throws Exception {
    try (var files = Jimfs.newFileSystem(Configuration.unix())) {
      Path file = files.getPath("/allowlist.conf");
      var list = new SysctlAllowList(file);
      list.requireAllowed(Set.of("net.core.somaxconn")); // without the file all are allowed
      Files.writeString(file, "^net\\.ipv4\\.conf\\.[a-zA-Z0-9]*\\.arp_\n\n  somaxconn  \n");
      list.requireAllowed(Set.of("net.core.somaxconn", "net.ipv4.conf.IFNAME.arp_filter"));
      CniException e =
          assertThrows(
              CniException.class,
              () -> list.requireAllowed(Set.of("net.core.somaxconn", "net.ipv4.ip_forward")));
      assertEquals(7, e.code());
      assertTrue(e.getMessage().contains("net.ipv4.ip_forward"), e::getMessage);
      Files.writeString(file, "^net\\.(?P<part>core)\\.[[:alpha:]_]+$\n");
      list.requireAllowed(Set.of("net.core.somaxconn"));
      Files.writeString(file, "");
      assertThrows(CniException.class, () -> list.requireAllowed(Set.of("net.core.somaxconn")));
      Files.writeString(file, "(");
      CniException broken =
          assertThrows(CniException.class, () -> list.requireAllowed(Set.of("net.x")));
      assertTrue(broken.getMessage().contains("no regular expression"), broken::getMessage);
    }
  }
}
