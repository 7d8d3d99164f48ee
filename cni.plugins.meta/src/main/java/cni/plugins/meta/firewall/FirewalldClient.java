// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.firewall;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A client of firewalld's D-Bus interface. Packets from the sources of a zone such as {@code
 * trusted} are accepted; the calls are those of the reference plugin's firewalld backend.
 *
 * @param socket the Unix socket of the system bus
 */
record FirewalldClient(Path socket) {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private static final String BUS_NAME = "org.fedoraproject.FirewallD1";
  private static final String OBJECT_PATH = "/org/fedoraproject/FirewallD1";
  private static final String ZONE_INTERFACE = "org.fedoraproject.FirewallD1.zone";
  private static final String DEFAULT_SOCKET = "/run/dbus/system_bus_socket";
  private static final String UNIX_PREFIX = "unix:path=";
  private static final String ALREADY_SET_ERROR = "ZONE_ALREADY_SET";

  /** Returns the client for this system's bus, or that of DBUS_SYSTEM_BUS_ADDRESS. */
  static FirewalldClient system() {
    // Other transports connect to other machines; this plugin only configures the local firewall.
    String address = String.valueOf(System.getenv("DBUS_SYSTEM_BUS_ADDRESS"));
    return new FirewalldClient(
        Path.of(
            address.startsWith(UNIX_PREFIX)
                ? address.substring(UNIX_PREFIX.length())
                : DEFAULT_SOCKET));
  }

  /**
   * Whether firewalld is running.
   *
   * @throws CniException code 999 if a message bus is running that does not reply
   */
  boolean isRunning() throws CniException {
    if (!Files.exists(socket)) {
      return false;
    }
    try (DbusConnection bus = DbusConnection.connect(socket)) {
      return bus.hasOwner(BUS_NAME);
    } catch (ConnectException | NoSuchFileException e) {
      return false; // the socket of a bus that has stopped
    } catch (IOException e) {
      throw failure("looking up its bus name", e);
    }
  }

  /**
   * Requires that firewalld is running.
   *
   * @throws CniException code 50 if it is not
   */
  void requireRunning() throws CniException {
    if (!isRunning()) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "firewalld is not running, or cannot be reached by "
              + socket
              + "; start it, or remove \"backend\" from the configuration");
    }
  }

  /**
   * Adds sources to a zone, each a network in CIDR notation. Existing sources are no error. If one
   * cannot be added, those before are removed again.
   */
  void addSources(String zone, List<String> sources) throws CniException {
    List<String> added = new ArrayList<>();
    try (DbusConnection bus = DbusConnection.connect(socket)) {
      for (String source : sources) {
        if (addSource(bus, zone, source)) {
          added.add(source);
        }
      }
    } catch (IOException e) {
      CniException failure = failure("adding " + sources + " to zone " + zone, e);
      try {
        removeSources(zone, added);
      } catch (CniException again) {
        failure.addSuppressed(again);
      }
      throw failure;
    }
  }

  /** Adds a source, and returns whether the zone did not have it. */
  private static boolean addSource(DbusConnection bus, String zone, String source)
      throws IOException {
    try {
      bus.invoke(BUS_NAME, OBJECT_PATH, ZONE_INTERFACE, "addSource", zone, source);
      return true;
    } catch (DbusConnection.ErrorReplyException e) {
      if (String.valueOf(e.getMessage()).contains(ALREADY_SET_ERROR)) {
        return false;
      }
      throw e;
    }
  }

  /** Removes sources from a zone. Missing sources are no error. */
  void removeSources(String zone, List<String> sources) throws CniException {
    if (sources.isEmpty()) {
      return;
    }
    try (DbusConnection bus = DbusConnection.connect(socket)) {
      for (String source : sources) {
        try {
          bus.invoke(BUS_NAME, OBJECT_PATH, ZONE_INTERFACE, "removeSource", zone, source);
        } catch (DbusConnection.ErrorReplyException e) {
          // The zone does not have the source, or does not exist.
          LOG.get().log(System.Logger.Level.DEBUG, "nothing to remove", e);
        }
      }
    } catch (IOException e) {
      throw failure("removing " + sources + " from zone " + zone, e);
    }
  }

  /** Returns those of the sources that a zone has. */
  List<String> presentSources(String zone, List<String> sources) throws CniException {
    List<String> present = new ArrayList<>();
    try (DbusConnection bus = DbusConnection.connect(socket)) {
      for (String source : sources) {
        if (bus.invoke(BUS_NAME, OBJECT_PATH, ZONE_INTERFACE, "querySource", zone, source)) {
          present.add(source);
        }
      }
      return present;
    } catch (IOException e) {
      throw failure("querying " + sources + " in zone " + zone, e);
    }
  }

  private static CniException failure(String what, IOException e) {
    return new CniException(ErrorCode.INTERNAL, "firewalld: " + what + ": " + e.getMessage(), e);
  }
}
