package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
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
}
