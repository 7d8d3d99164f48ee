package cni.sandbox;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.CollectRequest;
import cni.api.ErrorCode;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.Result;
import cni.api.Rollback;
import java.io.IOException;
import java.util.Optional;

/**
 * The plugin that manages addresses for an interface plugin: the one that its configuration names
 * as {@code ipam.type} (SPEC section 4).
 */
public final class Ipam {
  /** The one that says good-bye to a server over the very interface. */
  private static final String DHCP = "dhcp";

  private final String type;
  private final NetworkPlugin plugin;

  private Ipam(String type, NetworkPlugin plugin) {
    this.type = type;
    this.plugin = plugin;
  }

  /**
   * The one that the configuration names.
   *
   * @throws CniException code 7 if the name is malformed or there is no such plugin
   */
  public static Optional<Ipam> of(PluginRequest request) throws CniException {
    Optional<String> type = request.config().ipamType();
    return type.isEmpty()
        ? Optional.empty()
        : Optional.of(new Ipam(type.get(), request.context().delegates().find(type.get())));
  }

  /** Takes the container's interface off the network, for good. */
  @FunctionalInterface
  public interface Disconnection {
    /** Does it; what is gone already is no failure. */
    void disconnect() throws CniException, IOException;
  }

  /**
   * Has it give out addresses, which a failure later on gives back.
   *
   * @param disconnection has to come before that, and may come twice
   * @return with at least one address
   * @throws CniException its failure, or code 7 if it answers without an address
   */
  public Result add(AttachmentRequest request, Rollback rollback, Disconnection disconnection)
      throws CniException {
    Result assigned;
    boolean refused = false;
    try {
      assigned = plugin.add(request);
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
          ErrorCode.INVALID_CONFIG, "ipam plugin " + type + " answered without an address");
    }
    return assigned;
  }

  /**
   * Has it compare.
   *
   * @throws CniException what differs
   */
  public void check(AttachmentRequest request) throws CniException {
    plugin.check(request);
  }

  /**
   * Disconnects the container and has the addresses given back. Usually in this order: an address
   * that is still on a wire must not be given to the next container.
   *
   * @throws CniException if something is left
   * @throws IOException from disconnecting
   */
  public void delete(AttachmentRequest request, Disconnection disconnection)
      throws CniException, IOException {
    if (!type.equals(DHCP)) {
      disconnection.disconnect();
      plugin.delete(request);
      return;
    }
    try {
      plugin.delete(request);
    } finally {
      disconnection.disconnect();
    }
  }

  /**
   * Has it remove what belongs to attachments that are gone.
   *
   * @throws CniException if something is left
   */
  public void collect(CollectRequest request) throws CniException {
    plugin.collect(request);
  }

  /**
   * Asks whether it can give out addresses.
   *
   * @throws CniException code 50 if it cannot
   */
  public void status(NetworkRequest request) throws CniException {
    plugin.status(request);
  }
}
