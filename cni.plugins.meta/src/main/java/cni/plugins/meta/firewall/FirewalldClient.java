package cni.plugins.meta.firewall;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.LazyLogger;
import cni.plugins.support.AttachmentCheck;
import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;

/**
 * firewalld, which lets pass what comes from the sources of a zone such as {@code trusted}; as the
 * reference plugin's firewalld backend.
 *
 * @param socket that of the system's message bus
 */
record FirewalldClient(Path socket) {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private static final String BUS_NAME = "org.fedoraproject.FirewallD1";
  private static final String OBJECT_PATH = "/org/fedoraproject/FirewallD1";
  private static final String ZONE_INTERFACE = "org.fedoraproject.FirewallD1.zone";
  private static final String DEFAULT_SOCKET = "/run/dbus/system_bus_socket";
  private static final String UNIX_PREFIX = "unix:path=";
  private static final String ALREADY_SET_ERROR = "ZONE_ALREADY_SET";

  /** That of this system. */
  static FirewalldClient system() {
    // Addresses of other kinds than this are for other machines.
    String address = String.valueOf(System.getenv("DBUS_SYSTEM_BUS_ADDRESS"));
    return new FirewalldClient(
        Path.of(
            address.startsWith(UNIX_PREFIX)
                ? address.substring(UNIX_PREFIX.length())
                : DEFAULT_SOCKET));
  }

  /**
   * Whether it runs.
   *
   * @throws CniException code 999 if there is a message bus that does not tell
   */
  boolean isRunning() throws CniException {
    if (!Files.exists(socket)) {
      return false;
    }
    try (DbusConnection bus = DbusConnection.connect(socket)) {
      return bus.hasOwner(BUS_NAME);
    } catch (ConnectException | NoSuchFileException e) {
      return false; // nobody listens there any more
    } catch (IOException e) {
      throw failure("asking whether it runs", e);
    }
  }

  /**
   * Requires that it runs.
   *
   * @throws CniException code 50 if it does not
   */
  void requireRunning() throws CniException {
    if (!isRunning()) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "firewalld does not run, or cannot be reached by "
              + socket
              + "; start it, or leave \"backend\" out");
    }
  }

  /** Adds sources to a zone, each a network; those that it has are left. */
  void addSources(String zone, List<String> sources) throws CniException {
    try (DbusConnection bus = DbusConnection.connect(socket)) {
      for (String source : sources) {
        try {
          bus.invoke(BUS_NAME, OBJECT_PATH, ZONE_INTERFACE, "addSource", zone, source);
        } catch (DbusConnection.ErrorReplyException e) {
          if (!String.valueOf(e.getMessage()).contains(ALREADY_SET_ERROR)) {
            throw e;
          }
        }
      }
    } catch (IOException e) {
      throw failure("adding " + sources + " to zone " + zone, e);
    }
  }

  /** Removes sources from a zone, as far as it has them. */
  void removeSources(String zone, List<String> sources) throws CniException {
    try (DbusConnection bus = DbusConnection.connect(socket)) {
      for (String source : sources) {
        try {
          bus.invoke(BUS_NAME, OBJECT_PATH, ZONE_INTERFACE, "removeSource", zone, source);
        } catch (DbusConnection.ErrorReplyException e) {
          LOG.get()
              .log(System.Logger.Level.DEBUG, "nothing to remove", e); // not there, or no such zone
        }
      }
    } catch (IOException e) {
      throw failure("removing " + sources + " from zone " + zone, e);
    }
  }

  /** Requires that a zone has sources. */
  void requireSources(String zone, List<String> sources) throws CniException {
    try (DbusConnection bus = DbusConnection.connect(socket)) {
      for (String source : sources) {
        if (!bus.invoke(BUS_NAME, OBJECT_PATH, ZONE_INTERFACE, "querySource", zone, source)) {
          throw AttachmentCheck.mismatch(
              "zone %s of firewalld does not have source %s".formatted(zone, source));
        }
      }
    } catch (IOException e) {
      throw failure("asking for " + sources + " in zone " + zone, e);
    }
  }

  private static CniException failure(String what, IOException e) {
    return new CniException(ErrorCode.INTERNAL, "firewalld: " + what + ": " + e.getMessage(), e);
  }
}
