// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/** A real DHCP server in a namespace, with its log. */
public final class DhcpServer implements AutoCloseable {
  private static final Duration TIMEOUT = Duration.ofSeconds(20);

  private final Process process;
  private final Path log;

  private DhcpServer(Process process, Path log) {
    this.process = process;
    this.log = log;
  }

  /**
   * Starts dnsmasq on an interface, for DHCPv4, DHCPv6 or both, depending on the options.
   *
   * @param netns the namespace of the interface
   * @param directory the directory of the lease file and the log
   * @param options further options, such as {@code --dhcp-range}
   */
  public static DhcpServer dnsmasq(NetNs netns, String link, Path directory, String... options)
      throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                "dnsmasq",
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--no-ping",
                "--port=0",
                "--pid-file",
                "--user=root",
                "--log-facility=-",
                "--log-dhcp",
                "--interface=" + link,
                "--except-interface=lo",
                "--dhcp-leasefile=" + directory.resolve("dnsmasq.leases")));
    command.addAll(Arrays.asList(options));
    DhcpServer server = start(netns, directory.resolve("dnsmasq.log"), command);
    server.awaitLog("DHCP.*(range|IP)");
    return server;
  }

  /**
   * Starts Kea for one of the protocols, with leases that are valid for 8 seconds.
   *
   * @param identity the identifier in the DUID of a DHCPv6 server, in hexadecimal; not used for
   *     IPv4
   */
  public static DhcpServer kea(
      NetNs netns, String link, Path directory, boolean v6, String pool, String identity)
      throws IOException, InterruptedException {
    awaitRunning(netns, link);
    String config =
        """
        { "Dhcp@V@": {
            "interfaces-config": { "interfaces": ["@LINK@"] },
            "lease-database": { "type": "memfile", "persist": true, "lfc-interval": 0,
                                "name": "@DIR@/kea@V@.leases" },
            "valid-lifetime": 8, "renew-timer": 2, "rebind-timer": 5, @MORE@
            "subnet@V@": [ { @SUBNET@, "pools": [ { "pool": "@POOL@" } ] } ],
            "loggers": [ { "name": "kea-dhcp@V@", "severity": "DEBUG", "debuglevel": 50,
                           "output_options": [ { "output": "stdout" } ] } ] } }
        """
            .replace("@V@", v6 ? "6" : "4")
            .replace("@LINK@", link)
            .replace("@DIR@", directory.toString())
            .replace(
                "@MORE@",
                v6
                    ? "\"preferred-lifetime\": 6, \"server-id\": { \"type\": \"EN\","
                        + " \"enterprise-id\": 1, \"identifier\": \"%s\", \"persist\": false },"
                            .formatted(identity)
                    : "\"authoritative\": true,")
            .replace(
                "@SUBNET@",
                v6
                    ? "\"subnet\": \"2001:db8::/64\", \"interface\": \"" + link + "\""
                    : "\"subnet\": \"192.0.2.0/24\", \"option-data\": [ { \"name\": \"routers\","
                        + " \"data\": \"192.0.2.2\" } ]")
            .replace("@POOL@", pool);
    String program = v6 ? "kea-dhcp6" : "kea-dhcp4";
    Path file = directory.resolve(program + ".conf");
    Files.writeString(file, config);
    DhcpServer server =
        start(
            netns,
            directory.resolve(program + ".log"),
            List.of(
                "env",
                "KEA_PIDFILE_DIR=" + directory,
                "KEA_LOCKFILE_DIR=" + directory,
                program,
                "-c",
                file.toString()));
    server.awaitLog("DHCP[46]_STARTED");
    return server;
  }

  /** Waits until an interface is up: Kea ignores interfaces that are down when it starts. */
  private static void awaitRunning(NetNs netns, String link)
      throws IOException, InterruptedException {
    for (int i = 0; i < 100; i++) {
      boolean up = TestBed.run(netns, "ip", "link", "show", link).contains("state UP");
      if (up && TestBed.run(netns, "ip", "-6", "addr", "show", link, "tentative").isBlank()) {
        return;
      }
      Thread.sleep(50);
    }
    throw new AssertionError(link + " does not come up in " + netns);
  }

  private static DhcpServer start(NetNs netns, Path log, List<String> command) throws IOException {
    List<String> words =
        new ArrayList<>(List.of("ip", "netns", "exec", String.valueOf(netns.path().getFileName())));
    words.addAll(command);
    Process process =
        new ProcessBuilder(words)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
            .start();
    return new DhcpServer(process, log);
  }

  String log() throws IOException {
    return Files.exists(log) ? Files.readString(log) : "";
  }

  /** Returns the number of matches of a pattern in the log. */
  public int count(String pattern) throws IOException {
    return (int) Pattern.compile(pattern).matcher(log()).results().count();
  }

  public void awaitLog(String pattern) throws IOException, InterruptedException {
    awaitLog(pattern, 1);
  }

  /** Waits until the log has a number of matches of a pattern. */
  public void awaitLog(String pattern, int times) throws IOException, InterruptedException {
    long end = System.nanoTime() + TIMEOUT.toNanos();
    while (count(pattern) < times) {
      if (System.nanoTime() > end) {
        throw new AssertionError(
            "not " + times + " times \"" + pattern + "\" in the server's log:\n" + log());
      }
      Thread.sleep(50);
    }
  }

  /** Kills the server, so that it cannot notify its clients. */
  @Override
  public void close() {
    process.destroyForcibly();
    try {
      process.waitFor(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
