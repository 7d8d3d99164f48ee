package cni.plugins.meta.debug;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The debug plugin after another plugin of a chain. */
@KernelTest
class DebugTest {
  @Test
  void everyCallIsRecordedAndResultIsUnchanged() throws Exception {
    try (var host = new TestHost()) {
      NetNs a = host.container("a");
      Path calls = host.cache().resolveSibling("calls");
      String debug =
          """
          { "type": "debug", "cniOutput": "%s",
            "addHooks": [ [ "ip", "link", "set", "eth0", "alias", "hooked" ], [ "false" ] ] }
          """
              .formatted(calls);
      host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""), debug);
      try (Cni cni = host.openCni()) {
        Network network = cni.network("n");
        Result result = network.add(attachment(a));
        assertEquals(2, result.ips().size());
        assertTrue(TestBed.run(a, "ip", "link", "show", "eth0").contains("alias hooked"));
        network.check(attachment(a));
        network.status();
        network.gc(Set.of(attachment(a).id()));
        network.delete(attachment(a));
      }
      List<String> lines = Files.readAllLines(calls);
      assertEquals(
          List.of("CmdAdd", "CmdCheck", "CmdStatus", "CmdGC", "CmdDel"),
          lines.stream().filter(line -> line.startsWith("Cmd")).toList());
      assertTrue(lines.contains("ContainerID: " + attachment(a).containerId()));
      assertTrue(
          lines.stream().anyMatch(it -> it.startsWith("StdinData: ") && it.contains("prevResult")));
      host.assertNothingLeft("n", a);
    }
  }
}
