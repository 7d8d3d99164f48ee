// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Dns;
import cni.api.ErrorCode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ResolvConfTest {
  @TempDir private Path directory;

  @Test
  void readsResolverSettings() throws Exception {
    Path file = directory.resolve("resolv.conf");
    Files.writeString(
        file,
        """
        # comment
        ; comment
        nameserver 10.0.0.1
        nameserver fd00::1 trailing
        domain example.org
        search a.example b.example
        options ndots:5 rotate
        sortlist x
        nameserver
        """);
    Dns dns = ResolvConf.read(file);
    assertEquals(List.of("10.0.0.1", "fd00::1"), dns.nameservers());
    assertEquals("example.org", dns.domain());
    assertEquals(List.of("a.example", "b.example"), dns.search());
    assertEquals(List.of("ndots:5", "rotate"), dns.options());
  }

  @Test
  void endlessFileIsRefused() throws Exception {
    CniException e = assertThrows(CniException.class, () -> ResolvConf.read(Path.of("/dev/zero")));
    assertTrue(e.is(ErrorCode.IO_FAILURE), e::getMessage);
    Path large = Files.write(directory.resolve("large"), new byte[70_000]);
    assertThrows(CniException.class, () -> ResolvConf.read(large));
  }
}
