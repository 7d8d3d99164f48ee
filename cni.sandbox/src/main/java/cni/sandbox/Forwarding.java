package cni.sandbox;

import cni.api.CniException;
import cni.api.Result;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.List;

/** Has the host pass on packets between its interfaces. */
public final class Forwarding {
  private Forwarding() {}

  /**
   * Switches forwarding on for the families that the addresses belong to.
   *
   * @throws CniException code 999 if the kernel parameter cannot be set
   */
  public static void enable(Namespace host, List<Result.IpConfig> ips) throws CniException {
    boolean v4 = ips.stream().anyMatch(ip -> ip.address().isV4());
    boolean v6 = ips.stream().anyMatch(ip -> !ip.address().isV4());
    try {
      host.withSysctl(
          sysctl -> {
            if (v4) {
              sysctl.ensure("net/ipv4/ip_forward", "1");
            }
            if (v6) {
              sysctl.ensure("net/ipv6/conf/all/forwarding", "1");
            }
          });
    } catch (IOException e) {
      throw Namespace.failure("enabling forwarding on the host", e);
    }
  }

  /**
   * Has the host take no router advertisements from an interface: its routes are ours, and no
   * container may announce any to the host.
   *
   * @throws IOException if the kernel parameter cannot be set
   */
  public static void refuseAdvertisements(Namespace host, String name) throws IOException {
    host.withSysctl(
        sysctl -> {
          try {
            sysctl.ensure(acceptRa(name), "0");
          } catch (NoSuchFileException e) {
            return; // no IPv6
          }
        });
  }

  /**
   * As {@link #refuseAdvertisements}, for an interface that was made just now.
   *
   * @throws IOException if the kernel parameter cannot be set
   */
  public static void refuseAdvertisementsOfNew(Namespace host, String name) throws IOException {
    host.withSysctl(
        sysctl -> {
          try {
            sysctl.overwrite(acceptRa(name), "0");
          } catch (NoSuchFileException e) {
            return; // no IPv6
          }
        });
  }

  private static String acceptRa(String name) {
    return "net/ipv6/conf/" + name + "/accept_ra";
  }
}
