package cni.plugins.support;

import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import java.io.IOException;
import java.util.List;

/** Sysctls of a host that forwards packets of containers. */
public final class Forwarding {
  private Forwarding() {}

  /**
   * Enables forwarding for the address families of the addresses ({@code net.ipv4.ip_forward},
   * {@code net.ipv6.conf.all.forwarding}).
   *
   * @throws CniException code 999 if a sysctl cannot be set
   */
  public static void enable(NetNsSession host, List<Result.IpConfig> ips) throws CniException {
    boolean v4 = ips.stream().anyMatch(ip -> ip.address().isV4());
    boolean v6 = ips.stream().anyMatch(ip -> !ip.address().isV4());
    try {
      if (v4 && !host.rtnetlink().isForwarding(IpFamily.IPV4)) {
        host.runSysctl(sysctl -> sysctl.set("net/ipv4/ip_forward", "1"));
      }
      if (v6 && !host.rtnetlink().isForwarding(IpFamily.IPV6)) {
        host.runSysctl(sysctl -> sysctl.set("net/ipv6/conf/all/forwarding", "1"));
      }
    } catch (IOException e) {
      throw NetNsSession.failure("enabling forwarding on the host", e);
    }
  }

  /**
   * Disables router advertisements on an interface of the host ({@code accept_ra}), because a
   * container must not be able to announce routes to the host.
   *
   * @throws IOException if the sysctl cannot be set
   */
  public static void disableAcceptRa(NetNsSession host, Link link) throws IOException {
    if (link.acceptRa() > 0) {
      String key = "net/ipv6/conf/" + link.name() + "/accept_ra";
      host.runSysctl(sysctl -> sysctl.set(key, "0"));
    }
  }
}
