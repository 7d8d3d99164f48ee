// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.api.internal.BridgeName;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Neighbour;
import cni.netlink.ffm.route.RouteSocket;
import cni.plugins.ipam.range.RangeSet;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Frees addresses of an exhausted range set that were reserved before this boot: their containers
 * ended with their namespaces, but a runtime that neither deletes them nor calls GC leaves the
 * reservations.
 *
 * <p>That the file of a reservation is older than the boot ({@link
 * cni.api.internal.BootId#bootTime}) is the evidence that the address is unused. As a precaution
 * against clocks that were wrong, an address is kept if the host shows that it is in use:
 *
 * <ul>
 *   <li>it has a route for exactly this address, as the ptp plugin sets up for each container, and
 *       the kernel for each address of the host itself;
 *   <li>it has a neighbour entry for the address with a hardware address;
 *   <li>the address answers ARP or neighbour discovery on the network's link. That reaches the
 *       containers of a bridge, in a VLAN if the host has an interface in it. On the parent
 *       interface of macvlan and ipvlan it reaches other hosts only: the kernel does not pass
 *       packets between a parent and its children, so there the time alone decides.
 * </ul>
 *
 * @param hostNamespace the host's namespace; absent for that of this process
 * @param linkName the bridge, its VLAN interface or the parent interface; absent if the
 *     configuration names none
 * @param deadline of the call
 */
record Reclamation(Optional<Path> hostNamespace, Optional<String> linkName, Deadline deadline) {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  private static final int MAX_VLAN = 4094;

  /** The number of addresses that are probed at a time: net.ipv4.neigh.*.gc_thresh1 is 128. */
  private static final int BATCH = 64;

  /** How long to wait for answers. A local container answers within a millisecond. */
  private static final Duration TIMEOUT = Duration.ofSeconds(1);

  private static final long POLL_MILLIS = 20;

  /** Returns the reclamation for an ADD. */
  static Reclamation of(AttachmentRequest request) throws CniException {
    PluginConfig config = request.config();
    Optional<String> link =
        config.type().equals("bridge")
            ? Optional.of(bridgeInterface(config))
            : config.view().nonEmpty("master");
    return new Reclamation(request.context().hostNamespace(), link, request.context().deadline());
  }

  /** Returns the host's interface in the network of a bridge, as the bridge plugin names it. */
  private static String bridgeInterface(PluginConfig config) throws CniException {
    String bridge = BridgeName.of(config.view());
    int vlan = config.view().integer("vlan", 0, MAX_VLAN).orElse(0);
    return vlan == 0 ? bridge : bridge + "." + vlan;
  }

  /**
   * Frees addresses of a range set.
   *
   * @return whether any has been freed
   * @throws CniException code 5 if a reservation cannot be removed, code 11 if the thread is
   *     interrupted
   */
  boolean reclaim(RangeSet set, ReservationStore reservations) throws CniException {
    List<InetAddress> candidates = reservations.reservedBeforeBoot(set);
    boolean reclaimed = false;
    for (int from = 0; from < candidates.size() && !reclaimed; from += BATCH) {
      deadline.check("looking for addresses of an earlier boot");
      List<InetAddress> batch = candidates.subList(from, Math.min(from + BATCH, candidates.size()));
      Set<InetAddress> used = usedOf(batch);
      for (InetAddress address : batch) {
        if (!used.contains(address)) {
          LOG.get()
              .log(
                  System.Logger.Level.WARNING,
                  "{0} of {1} is released: it was reserved before this boot, and no address is free"
                      + " in {2}",
                  InetAddresses.format(address),
                  reservations.describeHolder(address),
                  set);
          reservations.release(address);
          reclaimed = true;
        }
      }
    }
    return reclaimed;
  }

  /** Returns the addresses that are in use; all of them if that cannot be found out. */
  private Set<InetAddress> usedOf(List<InetAddress> addresses) throws CniException {
    try (RouteSocket routing = RouteSocket.open(hostNamespace)) {
      Optional<Link> link = linkName.isPresent() ? routing.link(linkName.get()) : Optional.empty();
      // A link that does not exist connects no container.
      if (link.isPresent()) {
        probe(routing, link.get().index(), addresses);
      }
      return knownTo(routing, IpFamily.of(addresses.getFirst()));
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "addresses reserved before this boot cannot be probed, and are kept: "
                  + e.getMessage());
      return Set.copyOf(addresses);
    }
  }

  /** Returns the addresses for which the host has a route or a neighbour that has answered. */
  private static Set<InetAddress> knownTo(RouteSocket routing, IpFamily family) throws IOException {
    Set<InetAddress> known = new HashSet<>();
    routing.routes(family).stream()
        .filter(it -> it.prefix() == family.addressBits())
        .forEach(it -> known.add(it.destination()));
    routing.neighbours(family).stream()
        .filter(Neighbour::isResolved)
        .forEach(it -> known.add(it.address()));
    return known;
  }

  /** Makes the kernel resolve the addresses on a link, and waits until it has or gives up. */
  private void probe(RouteSocket routing, int link, List<InetAddress> addresses)
      throws CniException, IOException {
    for (InetAddress address : addresses) {
      routing.execute(Neighbour.resolveRequest(link, address));
    }
    IpFamily family = IpFamily.of(addresses.getFirst());
    Set<InetAddress> wanted = Set.copyOf(addresses);
    long end = System.nanoTime() + Math.min(TIMEOUT.toNanos(), deadline.remaining().toNanos());
    while (System.nanoTime() - end < 0
        && routing.neighbours(family).stream()
            .anyMatch(
                it -> it.link() == link && it.isIncomplete() && wanted.contains(it.address()))) {
      pause();
    }
  }

  private static void pause() throws CniException {
    try {
      Thread.sleep(POLL_MILLIS);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for answers to ARP or neighbour discovery");
    }
  }
}
