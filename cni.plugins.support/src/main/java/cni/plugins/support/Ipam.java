// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import java.io.IOException;
import java.util.Optional;

/**
 * Calls of an interface plugin to the ipam plugin that its configuration names as {@code ipam.type}
 * (CNI specification section 4, plugin delegation). Without {@code ipam} every method does nothing.
 */
public final class Ipam {
  /** The plugin that releases its lease over the container's interface. */
  private static final String DHCP = "dhcp";

  private Ipam() {}

  /** Detaches the container's interface from the network. */
  @FunctionalInterface
  public interface Detach {
    /** Detaches the interface; succeeds if it no longer exists. */
    void detach() throws CniException, IOException;
  }

  /**
   * Delegates ADD, and registers the DEL that releases the addresses if the operation fails later.
   *
   * @param detach runs before that DEL, or after it for dhcp; may run twice
   * @return a result with at least one address; empty without an ipam plugin
   * @throws CniException the plugin's error, or code 7 if there is no such plugin or its result has
   *     no address
   */
  public static Optional<Result> add(AttachmentRequest request, Rollback rollback, Detach detach)
      throws CniException {
    Optional<IpamDelegate> delegate = IpamDelegate.find(request);
    if (delegate.isEmpty()) {
      return Optional.empty();
    }
    Result assigned;
    boolean refused = false;
    try {
      assigned = delegate.get().plugin().add(delegate.get().in(request));
    } catch (CniException e) {
      // Specification section 4: a failed ADD is followed by a DEL. Code 4 is an exception: the
      // plugin already knows the attachment, and DEL would release the addresses of that earlier
      // ADD.
      refused = e.is(ErrorCode.INVALID_PARAMETER);
      throw e;
    } finally {
      if (!refused) {
        rollback.add(() -> delete(request.forCleanup(), detach));
      }
    }
    if (assigned.ips().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "ipam plugin "
              + delegate.get().plugin().type()
              + " returned a result without an address");
    }
    return Optional.of(assigned);
  }

  /**
   * Delegates the comparison. A plugin that cannot update attachments gets CHECK with the current
   * configuration: the runtime has refused a change of its keys.
   *
   * @return the desired request's previous result, with the addresses, routes and DNS settings that
   *     the plugin assigns in the desired state. A new address has the gateway that the plugin
   *     gives it, if any. Empty without an ipam plugin
   * @throws CniException the plugin's error
   */
  public static Optional<Result> compare(UpdateRequest request, Differences differences)
      throws CniException {
    Optional<IpamDelegate> delegate = IpamDelegate.find(request.desired());
    if (delegate.isEmpty()) {
      return Optional.empty();
    }
    Optional<UpdatablePlugin> updatable = delegate.get().plugin().updatable();
    Differences reservations = differences.of(Differences.Kind.RESERVATION);
    if (updatable.isPresent()) {
      return Optional.of(updatable.get().compare(delegate.get().in(request), reservations));
    }
    try {
      delegate.get().plugin().check(delegate.get().in(request.current()));
    } catch (CniException e) {
      if (!request.isUnchanged() || e.is(ErrorCode.TRY_AGAIN_LATER)) {
        throw e;
      }
      reservations.addUnchangeable(e.getMessage());
    }
    return Optional.of(request.desired().requirePrevResult());
  }

  /**
   * Detaches the container and delegates DEL, in this order: an address that is still on a link
   * must not be given to the next container. For dhcp the order is reversed, and nothing is done
   * for an interface that may be another attachment's. The container is detached even if the plugin
   * fails.
   *
   * @throws CniException the plugin's error, or that of detaching
   * @throws IOException if detaching fails
   */
  public static void delete(AttachmentRequest request, Detach detach)
      throws CniException, IOException {
    if (isDhcp(request)) {
      LinkOwnership.requireUnclaimed(request);
      try {
        deleteAddresses(request);
      } finally {
        detach.detach();
      }
    } else {
      detach.detach();
      deleteAddresses(request);
    }
  }

  private static boolean isDhcp(AttachmentRequest request) {
    try {
      return request.config().ipamType().equals(Optional.of(DHCP));
    } catch (CniException e) {
      return false; // an invalid ipam.type: reported by deleteAddresses, after detaching
    }
  }

  private static void deleteAddresses(AttachmentRequest request) throws CniException {
    Optional<IpamDelegate> delegate = IpamDelegate.find(request);
    if (delegate.isPresent()) {
      delegate.get().plugin().delete(delegate.get().in(request));
    }
  }

  /**
   * Delegates GC.
   *
   * @throws CniException the plugin's error
   */
  public static void gc(GcRequest request) throws CniException {
    Optional<IpamDelegate> delegate = IpamDelegate.find(request);
    if (delegate.isPresent()) {
      delegate.get().plugin().gc(delegate.get().in(request));
    }
  }

  /** Reads the keys of a plugin, for validation. */
  @FunctionalInterface
  public interface KeyReader {
    /**
     * Reads the keys.
     *
     * @throws CniException code 7 for one that is invalid
     */
    void run() throws CniException;
  }

  /**
   * Validates a plugin's own keys, and delegates the validation of those of the ipam plugin. The
   * one does not depend on the other.
   *
   * @param own reads the plugin's own keys
   * @throws CniException the error of the first, with that of the second as a suppressed exception
   */
  public static void validate(NetworkRequest request, KeyReader own) throws CniException {
    CniException error = null;
    try {
      own.run();
    } catch (CniException e) {
      error = e;
    }
    try {
      Optional<IpamDelegate> delegate = IpamDelegate.find(request);
      if (delegate.isPresent()) {
        delegate.get().plugin().validate(delegate.get().in(request));
      }
    } catch (CniException e) {
      if (error == null) {
        throw e;
      }
      error.addSuppressed(e);
    }
    if (error != null) {
      throw error;
    }
  }

  /**
   * Delegates STATUS.
   *
   * @throws CniException the plugin's error: code 50 if it cannot assign addresses
   */
  public static void status(NetworkRequest request) throws CniException {
    Optional<IpamDelegate> delegate = IpamDelegate.find(request);
    if (delegate.isPresent()) {
      delegate.get().plugin().status(delegate.get().in(request));
    }
  }
}
