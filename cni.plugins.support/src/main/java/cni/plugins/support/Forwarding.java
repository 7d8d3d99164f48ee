// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.CniException;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.List;

/** Sysctls of a host that forwards packets of containers. */
public final class Forwarding {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.support");

  private Forwarding() {}

  /**
   * Enables forwarding for the address families of the addresses ({@code net.ipv4.ip_forward},
   * {@code net.ipv6.conf.all.forwarding}), unless it is enabled.
   *
   * @throws CniException code 999 if a sysctl cannot be set; the message says how to set it
   */
  public static void enable(NetNsSession host, List<Result.IpConfig> ips) throws CniException {
    for (IpFamily family : IpFamily.values()) {
      if (has(ips, family)) {
        enable(host, family);
      }
    }
  }

  /**
   * Requires forwarding for the address families of the addresses.
   *
   * @throws IOException if the kernel cannot be queried
   */
  public static void compare(NetNsSession host, List<Result.IpConfig> ips, Differences differences)
      throws IOException {
    for (IpFamily family : IpFamily.values()) {
      if (has(ips, family) && !host.rtnetlink().isForwarding(family)) {
        String name = Sysctl.name(key(family));
        differences
            .of(Differences.Kind.SYSCTL)
            .addTentative(
                name + " is 0 on the host, expected 1",
                "set " + name + " to 1",
                () -> enable(host, family),
                () -> host.runSysctl(sysctl -> sysctl.set(key(family), "0")));
      }
    }
  }

  /**
   * Requires that the host forwards the IPv4 packets that come in by a link to containers, if there
   * are IPv4 addresses. Nothing is added while forwarding is off on the whole host: enabling it
   * enables it for every link (inet_forward_change in net/ipv4/devinet.c). IPv6 has no such
   * parameter of single links.
   *
   * @throws IOException if the kernel cannot be queried
   */
  public static void compareLink(
      NetNsSession host, Link link, List<Result.IpConfig> ips, Differences differences)
      throws IOException {
    if (!link.ipv4Forwarding()
        && has(ips, IpFamily.IPV4)
        && host.rtnetlink().isForwarding(IpFamily.IPV4)) {
      String name = "net.ipv4.conf." + link.name() + ".forwarding";
      differences
          .of(Differences.Kind.SYSCTL)
          .add(
              name + " is 0 on the host, expected 1: packets of the container are not forwarded",
              "set " + name + " to 1",
              () -> host.rtnetlink().execute(LinkRequests.setIpv4Forwarding(link.index(), true)),
              () -> host.rtnetlink().execute(LinkRequests.setIpv4Forwarding(link.index(), false)));
    }
  }

  private static boolean has(List<Result.IpConfig> ips, IpFamily family) {
    return ips.stream().anyMatch(ip -> IpFamily.of(ip.address().address()) == family);
  }

  private static String key(IpFamily family) {
    return switch (family) {
      case IPV4 -> "net/ipv4/ip_forward";
      case IPV6 -> "net/ipv6/conf/all/forwarding";
    };
  }

  /** Returns whether forwarding was not enabled before. */
  private static boolean enable(NetNsSession host, IpFamily family) throws CniException {
    String key = key(family);
    try {
      boolean enable = !host.rtnetlink().isForwarding(family);
      if (enable) {
        host.runSysctl(sysctl -> sysctl.ensure(key, "1"));
      }
      return enable;
    } catch (NoSuchFileException e) {
      throw new CniException(
          ErrorCode.INTERNAL,
          "enabling forwarding on the host: %s is 0 and cannot be set, as %s is not accessible;"
                  .formatted(Sysctl.name(key), e.getMessage())
              + " set it on the host: \"sysctl -w "
              + Sysctl.name(key)
              + "=1\"",
          e);
    } catch (IOException e) {
      throw NetNsSession.failure("enabling forwarding on the host", e);
    }
  }

  /**
   * Disables router advertisements on an interface of the host ({@code accept_ra}), because a
   * container must not be able to announce routes to the host. If that is not possible, logs how to
   * do it.
   *
   * @throws IOException if the host's namespace cannot be entered
   */
  public static void disableAcceptRa(NetNsSession host, Link link) throws IOException {
    if (link.acceptRa() > 0) {
      String key = "net/ipv6/conf/" + link.name() + "/accept_ra";
      host.runSysctl(
          sysctl -> sysctl.setIfPossible(key, "0").ifPresent(e -> warnOfAdvertisements(key, e)));
    }
  }

  /**
   * Disables IPv6 duplicate address detection on an interface of the host ({@code accept_dad}), if
   * that is possible.
   *
   * @throws IOException if the host's namespace cannot be entered
   */
  public static void disableDad(NetNsSession host, String name) throws IOException {
    host.runSysctl(sysctl -> setIfPossible(sysctl, "net/ipv6/conf/" + name + "/accept_dad", "0"));
  }

  /** Sets a parameter whose absence only costs time, and logs if it cannot be set. */
  static void setIfPossible(Sysctl sysctl, String key, String value) {
    sysctl
        .setIfPossible(key, value)
        .ifPresent(
            e -> LOG.get().log(System.Logger.Level.DEBUG, Sysctl.name(key) + " is not set", e));
  }

  private static void warnOfAdvertisements(String key, IOException e) {
    String name = Sysctl.name(key);
    LOG.get()
        .log(
            System.Logger.Level.WARNING,
            "a container may announce IPv6 routes to the host, because %s cannot be set (%s):"
                    .formatted(name, IoErrors.describe(e))
                + " set net.ipv6.conf.default.accept_ra or "
                + name
                + " to 0");
  }
}
