package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.lab.KernelTest;
import cni.netlink.lab.Lab;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Programs that nobody here wrote run containers with the image's plugins as their executables, and
 * share the cache with us: Podman, whose libcni speaks 0.4.0 here, and containerd, with 1.0.0.
 */
class ClientsIT {
  private Lab lab;

  @BeforeEach
  void open() throws Exception {
    lab = new Lab();
  }

  @AfterEach
  void close() throws Exception {
    lab.close();
  }

  private String containersComeAndGo(String script, String address) throws Exception {
    Path scripts = Path.of("src/test/resources/cni/cli").toAbsolutePath();
    Lab.Output output =
        Lab.attempt(
            lab.host(),
            "unshare",
            "-m",
            "-n",
            "-p",
            "-f",
            "--mount-proc",
            "sh",
            scripts.resolve(script).toString(),
            Path.of("target/image").toAbsolutePath().toString(),
            lab.directory().toString());
    String text = output.text();
    assertEquals(0, output.status(), text);
    // In the second container: tuned, and it reaches itself and the first one.
    assertTrue(text.contains("mtu 1400"), text);
    assertTrue(text.contains("\n477\n"), text);
    assertEquals(3, text.lines().filter(it -> it.contains(" 0% packet loss")).count(), text);
    assertTrue(text.contains("\nserved"), text);
    // The client's entries are read by us, and ours are used by the client.
    assertTrue(text.contains("checked by us"), text);
    assertTrue(text.contains("eth0") && text.contains(address), text);
    List<String> witnessed = text.lines().filter(it -> it.startsWith("witnessed: {")).toList();
    assertFalse(witnessed.isEmpty(), text);
    assertTrue(witnessed.getLast().contains("\"prevResult\""), text);
    assertTrue(witnessed.getLast().contains("\"clients0\""), text);
    assertEquals(
        List.of("left: ", "left: "), text.lines().filter(it -> it.startsWith("left:")).toList());
    return text;
  }

  @Test
  @KernelTest(commands = {"podman", "runc", "busybox", "nft"})
  void podman() throws Exception {
    String text = containersComeAndGo("podman.sh", "10.205.0.");
    assertTrue(text.contains("published: served"), text);
    assertTrue(text.contains("left rules: 0"), text);
  }

  @Test
  @KernelTest(commands = {"containerd", "ctr", "runc", "busybox"})
  void containerd() throws Exception {
    containersComeAndGo("containerd.sh", "10.206.0.");
  }
}
