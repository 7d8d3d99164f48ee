// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** Compiles the README's code and checks that the README contains exactly that code. */
class ReadmeTest {
  private static final Path README = Path.of("..", "README.md");
  private static final Path THIS_FILE = Path.of("src/test/java/cni/cli/ReadmeTest.java");

  /**
   * The README's code is between the marks. It is compiled, not run: it would use this machine's
   * networks.
   */
  @SuppressWarnings("UnusedMethod") // compiled only
  private static void embed() throws CniException {
    // begin
    try (Cni cni =
        Cni.builder()
            .networks(Path.of("/etc/cni/net.d"))
            .executables(Path.of("/opt/cni/bin"))
            .build()) {
      var attachment = Attachment.of("container-1", Path.of("/run/netns/container-1"), "eth0");
      Result result = cni.network("mynet").add(attachment);
      System.out.println(result.ips());
      cni.network("mynet").check(attachment);
      cni.network("mynet").delete(attachment);
    }
    // end
  }

  @Test
  void readmeContainsTheCompiledCode() throws IOException {
    String source = Files.readString(THIS_FILE);
    int begin = source.indexOf("    // begin\n") + "    // begin\n".length();
    String code = source.substring(begin, source.indexOf("// end\n")).stripIndent();
    assertTrue(Files.readString(README).contains("```java\n" + code + "```"), code);
  }

  @Test
  @KernelTest
  void readmeCodeAttachesAndDetaches() throws Exception {
    try (TestHost host = new TestHost()) {
      host.dualStack("mynet", "");
      NetNs container = host.container("container-1");
      try (Cni cni = host.openCni()) {
        Attachment attachment = TestHost.attachment(container);
        Result result = cni.network("mynet").add(attachment);
        assertTrue(result.ips().size() == 2);
        cni.network("mynet").check(attachment);
        cni.network("mynet").delete(attachment);
      }
      host.assertNothingLeft("mynet", container);
    }
  }
}
