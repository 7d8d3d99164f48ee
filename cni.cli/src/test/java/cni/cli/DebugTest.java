package cni.cli;

import static cni.cli.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Result;
import cni.netlink.ffm.NetNs;
import cni.netlink.lab.KernelTest;
import cni.netlink.lab.Lab;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The plugin that records, between others of a chain. */
@KernelTest
class DebugTest {
  @Test
  void everyCallIsRecordedAndNothingChanged() throws Exception {
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
      try (Cni cni = host.open()) {
        Network network = cni.network("n");
        Result result = network.add(attachment(a));
        assertEquals(2, result.ips().size());
        assertTrue(Lab.run(a, "ip", "link", "show", "eth0").contains("alias hooked"));
        network.check(attachment(a));
        network.status();
        network.collect(Set.of(attachment(a).id()));
        network.delete(attachment(a));
      }
      List<String> lines = Files.readAllLines(calls);
      assertEquals(
          List.of("CmdAdd", "CmdCheck", "CmdStatus", "CmdGC", "CmdDel"),
          lines.stream().filter(line -> line.startsWith("Cmd")).toList());
      assertTrue(lines.contains("ContainerID: " + attachment(a).containerId()));
      assertTrue(
          lines.stream().anyMatch(it -> it.startsWith("StdinData: ") && it.contains("prevResult")));
      host.requireNothingLeft("n", a);
    }
  }
}
