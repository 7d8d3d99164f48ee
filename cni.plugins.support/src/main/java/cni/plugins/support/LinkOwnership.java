package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;

/**
 * Decides whether the interface that has an attachment's name in the container is still that of the
 * attachment. By the time of a late DEL the namespace at the same path may be the next container's,
 * whose interface must not be deleted.
 */
public final class LinkOwnership {
  private LinkOwnership() {}

  /** A test whether an interface belongs to the attachment. */
  @FunctionalInterface
  public interface OwnershipTest {
    /** Tests the interface that has the attachment's name. */
    boolean isOwned(Link link, NetNsSession container) throws CniException, IOException;
  }

  /**
   * Deletes the attachment's interface, if the container's namespace exists and the interface in it
   * belongs to the attachment.
   *
   * @return whether it was deleted
   * @throws CniException if the namespace cannot be used
   * @throws IOException if the kernel refuses
   */
  public static boolean deleteIfOwned(
      AttachmentRequest request, NetNsSession host, OwnershipTest test)
      throws CniException, IOException {
    Optional<NetNsSession> open = NetNsSession.openContainerIfPresent(request, host);
    if (open.isEmpty()) {
      return false;
    }
    try (NetNsSession container = open.get()) {
      String name = request.attachment().interfaceName();
      return BatchedLinkDeletion.delete(
          host,
          container,
          () -> {
            Optional<Link> link = container.rtnetlink().link(name);
            return link.isPresent() && test.isOwned(link.get(), container)
                ? link
                : Optional.empty();
          });
    }
  }

  /**
   * Whether a veth is that of the previous result: it has the same hardware address, or its peer is
   * an interface that the result lists on the host. The latter holds after the hardware address was
   * changed in the container. True if the result does not say.
   *
   * @throws IOException if the kernel cannot be queried
   */
  public static boolean matchesMacOrPeer(Link link, AttachmentRequest request, NetNsSession host)
      throws IOException {
    if (mayHaveMac(link, request)) {
      return true;
    }
    for (Result.Interface it : previousResult(request).interfaces()) {
      if (it.isOnHost()
          && host.rtnetlink()
              .link(it.name())
              .filter(end -> end.index() == link.linkedIndex())
              .isPresent()) {
        return true;
      }
    }
    return false;
  }

  /**
   * Whether an interface is that of the previous result: it has the same hardware address or one of
   * the addresses. True if the result does not say.
   *
   * @throws IOException if the kernel cannot be queried
   */
  public static boolean matchesMacOrAddress(
      Link link, AttachmentRequest request, NetNsSession container) throws IOException {
    Result previous = previousResult(request);
    int index = previous.indexOf(link.name(), request.attachment().sandbox()).orElse(-1);
    if (index < 0 || previous.ipsOf(index).isEmpty() || mayHaveMac(link, request)) {
      return true;
    }
    List<InetAddress> expected =
        previous.ipsOf(index).stream().map(ip -> ip.address().address()).toList();
    return container.rtnetlink().addresses(link.index()).stream()
        .anyMatch(it -> expected.contains(it.address()));
  }

  /** Whether the hardware address is that of the previous result, or the result has none. */
  private static boolean mayHaveMac(Link link, AttachmentRequest request) {
    String mac =
        previousResult(request)
            .find(link.name(), request.attachment().sandbox())
            .map(Result.Interface::mac)
            .orElse("");
    return mac.isEmpty() || mac.equalsIgnoreCase(link.mac());
  }

  private static Result previousResult(AttachmentRequest request) {
    return request.prevResult().orElse(Result.EMPTY);
  }
}
