package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Podman (network version 0.4.0) and containerd (1.0.0) run containers with the image's plugins
 * installed as executables, and share the result cache with the {@code cni} command.
 */
class PodmanContainerdIT {
  private TestBed bed;

  @BeforeEach
  void open() throws Exception {
    bed = new TestBed();
  }

  @AfterEach
  void close() throws Exception {
    bed.close();
  }

  private String runClientScript(String script, String address) throws Exception {
    Path scripts = Path.of("src/test/resources/cni/cli").toAbsolutePath();
    TestBed.CommandOutput output =
        TestBed.tryRun(
            bed.netns(),
            "unshare",
            "-m",
            "-n",
            "-p",
            "-f",
            "--mount-proc",
            "sh",
            scripts.resolve(script).toString(),
            Path.of("target/image").toAbsolutePath().toString(),
            bed.directory().toString());
    String text = output.text();
    assertEquals(0, output.status(), text);
    // The second container has tuning's settings, and reaches itself and the first one.
    assertTrue(text.contains("mtu 1400"), text);
    assertTrue(text.contains("\n477\n"), text);
    assertEquals(3, text.lines().filter(it -> it.contains(" 0% packet loss")).count(), text);
    assertTrue(text.contains("\nserved"), text);
    // cni reads the client's cache entries, and the client uses those of cni.
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
  void podmanRunsContainersWithOurPlugins() throws Exception {
    String text = runClientScript("podman.sh", "10.205.0.");
    assertTrue(text.contains("published: served"), text);
    assertTrue(text.contains("left rules: 0"), text);
  }

  @Test
  @KernelTest(commands = {"containerd", "ctr", "runc", "busybox"})
  void containerdRunsContainersWithOurPlugins() throws Exception {
    runClientScript("containerd.sh", "10.206.0.");
  }
}
