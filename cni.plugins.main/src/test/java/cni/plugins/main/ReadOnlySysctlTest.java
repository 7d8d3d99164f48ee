// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.JavaProcess;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * ADD and CHECK by a process that cannot write sysctls, as in many containers and in systemd units
 * with {@code ProtectKernelTunables=} or {@code ProcSubset=pid}.
 */
@KernelTest
class ReadOnlySysctlTest {
  private static final String V4 = "[{ \"subnet\": \"10.%d.0.0/24\" }]";
  private static final String V6 = "[{ \"subnet\": \"fd%d::/64\" }]";
  private static final String DUAL = V4 + "," + V6;

  /** The number of the network that keeps duplicate address detection. */
  private static final int WITH_DAD = 50;

  private final TestHost host;

  /** What the process sees; a mount namespace of its own keeps it from all others. */
  enum ProcSys {
    READ_ONLY("mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"),
    HIDDEN("mount -t proc -o subset=pid proc /proc");

    private final String mount;

    ProcSys(String mount) {
      this.mount = mount;
    }
  }

  /** The child process: attaches each container to the network of its name. */
  static final class Attach {
    private Attach() {}

    /** Arguments: the host's directory, its namespace, pairs of a name and a namespace. */
    public static void main(String[] args) throws CniException {
      Path directory = Path.of(args[0]);
      try (Cni cni =
          Cni.builder()
              .networks(directory.resolve("net.d"))
              .executables(directory.resolve("bin"))
              .cache(directory.resolve("cache"))
              .hostNamespace(Path.of(args[1]))
              .build()) {
        for (int i = 2; i < args.length; i += 2) {
          Attachment attachment = Attachment.of(args[i], Path.of(args[i + 1]), "eth0");
          try {
            cni.network(args[i]).add(attachment);
            cni.network(args[i]).check(attachment);
            System.out.println(args[i] + ": attached");
          } catch (CniException e) {
            System.out.println(args[i] + ": " + e.getMessage());
          }
        }
      }
    }
  }

  ReadOnlySysctlTest(TestHost host) throws IOException {
    this.host = host;
    host.outside();
  }

  /** Declares a network and a container that have the same name, {@code type} and a number. */
  private NetNs declare(String type, String options, String ranges, int number) throws IOException {
    String name = type + number;
    host.network(
        name,
        "1.0.0",
        """
        { "type": "%s", %s
          "ipam": { "type": "host-local", "dataDir": "@DATA@", "ranges": [%s] } }
        """
            .formatted(type, options, ranges.replace("%d", String.valueOf(number))));
    NetNs container = host.container(name);
    if (number != WITH_DAD) { // it takes up to two seconds
      TestBed.run(container, "sysctl", "-w", "net.ipv6.conf.default.accept_dad=0");
    }
    return container;
  }

  private List<String> attach(ProcSys procSys, List<NetNs> containers) throws Exception {
    List<String> command = new ArrayList<>();
    String run = "umask 022 && " + procSys.mount + " && exec \"$@\"";
    command.addAll(List.of("unshare", "--mount", "--propagation", "private"));
    command.addAll(List.of("sh", "-c", run, "sh"));
    command.addAll(JavaProcess.command(Attach.class));
    command.add(host.directory().toString());
    command.add(host.netns().path().toString());
    for (NetNs container : containers) {
      command.add(nameOf(container));
      command.add(container.path().toString());
    }
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), out);
    return out.lines().toList();
  }

  private static String nameOf(NetNs container) {
    String file = String.valueOf(container.path().getFileName());
    return file.substring(file.lastIndexOf('-') + 1);
  }

  private void enableForwarding() throws IOException {
    TestBed.run(host.netns(), "sysctl", "-w", "net.ipv4.ip_forward=1");
    TestBed.run(host.netns(), "sysctl", "-w", "net.ipv6.conf.all.forwarding=1");
  }

  @ParameterizedTest
  @EnumSource
  void attachmentsWorkIfNothingNeededIsMissing(ProcSys procSys) throws Exception {
    enableForwarding();
    NetNs bridge4 = declare("bridge", "\"bridge\":\"br1\",\"isGateway\":true,", V4, 51);
    NetNs bridge6 = declare("bridge", "\"bridge\":\"br2\",\"isGateway\":true,", V6, 52);
    NetNs bridge =
        declare("bridge", "\"bridge\":\"br3\",\"isDefaultGateway\":true,", DUAL, WITH_DAD);
    NetNs ptp4 = declare("ptp", "", V4, 54);
    NetNs ptp = declare("ptp", "", DUAL, 55);
    NetNs macvlan = declare("macvlan", "\"master\":\"up0\",", DUAL, 56);
    NetNs tap = declare("tap", "", V4, 57);
    List<NetNs> containers = List.of(bridge4, bridge6, bridge, ptp4, ptp, macvlan, tap);
    List<String> expected = containers.stream().map(it -> nameOf(it) + ": attached").toList();
    assertEquals(expected, attach(procSys, containers));
    assertTrue(Probe.ping(bridge4, "10.51.0.1"));
    assertTrue(Probe.ping(bridge6, "fd52::1"));
    assertTrue(Probe.ping(bridge, TestHost.HOST_V4));
    assertTrue(Probe.ping(bridge, TestHost.HOST_V6));
    assertTrue(Probe.ping(ptp4, "10.54.0.1"));
    assertTrue(Probe.ping(ptp, "10.55.0.1"));
    assertTrue(Probe.ping(ptp, "fd55::1"));
    assertTrue(TestBed.run(tap, "ip", "addr", "show", "eth0").contains("10.57.0.2/24"));
    deleteAll(containers);
  }

  private void deleteAll(List<NetNs> containers) throws Exception {
    try (Cni cni = host.openCni()) {
      for (NetNs container : containers) {
        String name = nameOf(container);
        cni.network(name).delete(Attachment.of(name, container.path(), "eth0"));
      }
    }
    for (NetNs container : containers) {
      host.assertNothingLeft(nameOf(container), container);
    }
  }

  @ParameterizedTest
  @EnumSource
  void missingForwardingIsReportedWithRemedy(ProcSys procSys) throws Exception {
    TestBed.run(host.netns(), "sysctl", "-w", "net.ipv4.ip_forward=0");
    TestBed.run(host.netns(), "sysctl", "-w", "net.ipv6.conf.all.forwarding=0");
    NetNs bridge4 = declare("bridge", "\"bridge\":\"br1\",\"isGateway\":true,", V4, 51);
    NetNs bridge6 = declare("bridge", "\"bridge\":\"br2\",\"isGateway\":true,", V6, 52);
    NetNs ptp = declare("ptp", "", V4, 53);
    NetNs noGateway = declare("bridge", "\"bridge\":\"br4\",", DUAL, 54);
    List<String> out = attach(procSys, List.of(bridge4, bridge6, ptp, noGateway));
    for (int i : List.of(0, 2)) {
      assertTrue(out.get(i).contains("\"sysctl -w net.ipv4.ip_forward=1\""), out.get(i));
    }
    assertTrue(out.get(1).contains("\"sysctl -w net.ipv6.conf.all.forwarding=1\""), out.get(1));
    assertEquals("bridge54: attached", out.get(3), "which does not route");
    deleteAll(List.of(noGateway));
    for (NetNs container : List.of(bridge4, bridge6, ptp)) {
      host.assertNothingLeft(nameOf(container), container);
    }
  }

  @Test
  void missingIpv6OfTheContainerIsReportedWithRemedy() throws Exception {
    enableForwarding();
    NetNs bridge6 = declare("bridge", "\"bridge\":\"br2\",\"isGateway\":true,", V6, 52);
    TestBed.run(bridge6, "sysctl", "-w", "net.ipv6.conf.default.disable_ipv6=1");
    TestBed.run(bridge6, "sysctl", "-w", "net.ipv6.conf.lo.disable_ipv6=0");
    String out = attach(ProcSys.READ_ONLY, List.of(bridge6)).getFirst();
    assertTrue(out.contains("\"sysctl -w net.ipv6.conf.eth0.disable_ipv6=0\""), out);
    assertFalse(attach(ProcSys.HIDDEN, List.of(bridge6)).getFirst().endsWith("attached"), out);
    host.assertNothingLeft("bridge52", bridge6);
  }
}
