// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

@KernelTest
class RunCommandTest {
  /** Without the lock of its owner, another process would remove the namespace during the DEL. */
  @Test
  void namespaceIsOwnedUntilItsAttachmentsAreDeleted() throws Exception {
    try (var host = new TestHost()) {
      Path outcome = host.directory().resolve("outcome");
      host.script(
          "watcher",
          """
          echo '{ "cniVersion": "1.0.0" }'
          [ $CNI_COMMAND = DEL ] || exit 0
          exec 9< %s/$CNI_CONTAINERID
          if grep -q "OFDLCK.*:$(stat -L -c %%i /dev/fd/9) " /proc/locks; then echo owned; else echo abandoned; fi > %s
          """
              .formatted(NetNs.RUN_DIRECTORY, outcome));
      host.network("n", "1.0.0", "{ \"type\": \"watcher\" }");
      int status =
          Main.execute(
              "run",
              "--networks=" + host.networks(),
              "--path=" + host.executables(),
              "--cache=" + host.cache(),
              "--host-netns=" + host.netns().path(),
              "--",
              "sh",
              "-c",
              "echo ${CNI_NETNS##*/} > " + outcome + ".id; exit 7");
      assertEquals(7, status);
      assertEquals("owned", Files.readString(outcome).strip());
      String id = Files.readString(Path.of(outcome + ".id")).strip();
      assertFalse(Files.exists(NetNs.pathOf(id)));
    }
  }

  private static String resolvConf(TestHost host, String... options) throws Exception {
    Path outcome = host.directory().resolve("resolv");
    List<String> line =
        new ArrayList<>(
            List.of(
                "run",
                "--networks=" + host.networks(),
                "--path=" + host.executables(),
                "--cache=" + host.cache(),
                "--host-netns=" + host.netns().path()));
    line.addAll(List.of(options));
    line.addAll(List.of("--", "cp", "/etc/resolv.conf", outcome.toString()));
    assertEquals(0, Main.execute(line.toArray(String[]::new)));
    return Files.readString(outcome);
  }

  @Test
  void theCommandResolvesNamesByTheNetwork() throws Exception {
    String ofHost = Files.readString(Path.of("/etc/resolv.conf"));
    try (var host = new TestHost()) {
      host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""));
      assertEquals(ofHost, resolvConf(host));
      assertEquals(
          "search example.com\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n",
          resolvConf(
              host, "--dns=192.0.2.53", "--dns=2001:db8::53", "--dns-search", "example.com"));
      host.network(
          "n",
          "1.0.0",
          TestHost.DUAL_STACK.formatted(
              "\"dns\": { \"nameservers\": [ \"192.0.2.1\" ], \"domain\": \"a.test\","
                  + " \"options\": [ \"ndots:2\" ] },"));
      assertEquals("search a.test\nnameserver 192.0.2.1\noptions ndots:2\n", resolvConf(host));
      assertEquals("nameserver 192.0.2.53\n", resolvConf(host, "--dns=192.0.2.53"));
      assertEquals(ofHost, Files.readString(Path.of("/etc/resolv.conf")));
      host.assertNothingLeft("n");
    }
  }
}
