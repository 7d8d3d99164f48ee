package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.Result;
import cni.api.Rollback;
import java.io.IOException;
import java.util.Optional;

/**
 * The plugin that manages addresses for an interface plugin: the one that its configuration names
 * as {@code ipam.type} (SPEC section 4). Where it names none, there is nothing to do.
 */
public final class Ipam {
  /** The one that says good-bye to a server over the very interface. */
  private static final String DHCP = "dhcp";

  private Ipam() {}

  /** Takes the container's interface off the network, for good. */
  @FunctionalInterface
  public interface Detach {
    /** Does it; what is gone already is no failure. */
    void detach() throws CniException, IOException;
  }

  private static Optional<NetworkPlugin> findPlugin(PluginRequest request) throws CniException {
    Optional<String> type = request.config().ipamType();
    return type.isEmpty()
        ? Optional.empty()
        : Optional.of(request.context().delegates().find(type.get()));
  }

  /**
   * Has it give out addresses, which a failure later on gives back.
   *
   * @param disconnection has to come before that, and may come twice
   * @return with at least one address; empty if the configuration names no plugin
   * @throws CniException its failure, or code 7 if there is no such plugin or it answers without an
   *     address
   */
  public static Optional<Result> add(
      AttachmentRequest request, Rollback rollback, Detach disconnection) throws CniException {
    Optional<NetworkPlugin> plugin = findPlugin(request);
    if (plugin.isEmpty()) {
      return Optional.empty();
    }
    Result assigned;
    boolean refused = false;
    try {
      assigned = plugin.get().add(request);
    } catch (CniException e) {
      // SPEC section 4: one that failed gets a DEL. But where it refused the attachment itself,
      // because there is one, that would take from an earlier ADD what it was given.
      refused = e.is(ErrorCode.INVALID_PARAMETER);
      throw e;
    } finally {
      if (!refused) {
        rollback.add(() -> delete(request.forCleanup(), disconnection));
      }
    }
    if (assigned.ips().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "ipam plugin " + plugin.get().type() + " answered without an address");
    }
    return Optional.of(assigned);
  }

  /**
   * Has it compare.
   *
   * @throws CniException what differs
   */
  public static void check(AttachmentRequest request) throws CniException {
    Optional<NetworkPlugin> plugin = findPlugin(request);
    if (plugin.isPresent()) {
      plugin.get().check(request);
    }
  }

  /**
   * Disconnects the container and has the addresses given back. Usually in this order: an address
   * that is still on a wire must not be given to the next container. The container is disconnected
   * whatever becomes of the addresses.
   *
   * @throws CniException if something is left
   * @throws IOException from disconnecting
   */
  public static void delete(AttachmentRequest request, Detach disconnection)
      throws CniException, IOException {
    if (isDhcp(request)) {
      try {
        deleteAddresses(request);
      } finally {
        disconnection.detach();
      }
    } else {
      disconnection.detach();
      deleteAddresses(request);
    }
  }

  private static boolean isDhcp(AttachmentRequest request) {
    try {
      return request.config().ipamType().equals(Optional.of(DHCP));
    } catch (CniException e) {
      return false; // a type that is none: that is told when the container is disconnected
    }
  }

  private static void deleteAddresses(AttachmentRequest request) throws CniException {
    Optional<NetworkPlugin> plugin = findPlugin(request);
    if (plugin.isPresent()) {
      plugin.get().delete(request);
    }
  }

  /**
   * Has it remove what belongs to attachments that are gone.
   *
   * @throws CniException if something is left
   */
  public static void gc(GcRequest request) throws CniException {
    Optional<NetworkPlugin> plugin = findPlugin(request);
    if (plugin.isPresent()) {
      plugin.get().gc(request);
    }
  }

  /**
   * Asks whether it can give out addresses.
   *
   * @throws CniException code 50 if it cannot
   */
  public static void status(NetworkRequest request) throws CniException {
    Optional<NetworkPlugin> plugin = findPlugin(request);
    if (plugin.isPresent()) {
      plugin.get().status(request);
    }
  }
}
