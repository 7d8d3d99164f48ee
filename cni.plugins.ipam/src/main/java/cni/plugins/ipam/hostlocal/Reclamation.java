package cni.plugins.ipam.hostlocal;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Neighbour;
import cni.netlink.ffm.route.RouteSocket;
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
 * reservations. An address that answers ARP or neighbour discovery on the network's link is kept.
 *
 * @param hostNamespace the host's namespace; absent for that of this process
 * @param linkName the bridge or the parent interface; absent if the configuration names none
 * @param deadline of the call
 */
record Reclamation(Optional<Path> hostNamespace, Optional<String> linkName, Deadline deadline) {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  /** The default of the bridge plugin. */
  private static final String DEFAULT_BRIDGE = "cni0";

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
            ? Optional.of(config.view().nonEmpty("bridge").orElse(DEFAULT_BRIDGE))
            : config.view().nonEmpty("master");
    return new Reclamation(request.context().hostNamespace(), link, request.context().deadline());
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

  /** Returns the addresses in use on the link; all of them if that cannot be found out. */
  private Set<InetAddress> usedOf(List<InetAddress> addresses) throws CniException {
    try (NetNs namespace = hostNamespace.isPresent() ? NetNs.open(hostNamespace.get()) : null;
        RouteSocket routing =
            namespace == null ? RouteSocket.open() : RouteSocket.open(namespace)) {
      Optional<Link> link = linkName.isPresent() ? routing.link(linkName.get()) : Optional.empty();
      // A link that does not exist connects no container.
      return link.isPresent() ? answering(routing, link.get().index(), addresses) : Set.of();
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "addresses reserved before this boot cannot be probed, and are kept: "
                  + e.getMessage());
      return Set.copyOf(addresses);
    }
  }

  private Set<InetAddress> answering(RouteSocket routing, int link, List<InetAddress> addresses)
      throws CniException, IOException {
    for (InetAddress address : addresses) {
      routing.execute(Neighbour.resolveRequest(link, address));
    }
    IpFamily family = IpFamily.of(addresses.getFirst());
    Set<InetAddress> wanted = Set.copyOf(addresses);
    long left = Math.min(TIMEOUT.toNanos(), deadline.remaining().toNanos());
    long end = System.nanoTime() + left;
    while (true) {
      List<Neighbour> entries =
          routing.neighbours(family).stream()
              .filter(it -> it.link() == link && wanted.contains(it.address()))
              .toList();
      if (entries.stream().noneMatch(Neighbour::isIncomplete) || System.nanoTime() - end > 0) {
        Set<InetAddress> answering = new HashSet<>();
        entries.stream().filter(Neighbour::isResolved).forEach(it -> answering.add(it.address()));
        return answering;
      }
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
