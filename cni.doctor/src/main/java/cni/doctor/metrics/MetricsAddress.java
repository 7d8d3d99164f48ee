// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/** Where metrics are served: the text after {@code --metrics}. */
public sealed interface MetricsAddress {
  /**
   * A Unix socket, which only its owner may connect to.
   *
   * @param path the absolute path of the socket
   */
  record UnixSocket(Path path) implements MetricsAddress {
    @Override
    public String toString() {
      return "unix:" + path;
    }
  }

  /**
   * A TCP port of a loopback address, which every user of the host can connect to.
   *
   * @param address the address and the port; port 0 for a free one
   */
  record Loopback(InetSocketAddress address) implements MetricsAddress {
    @Override
    public String toString() {
      String host = InetAddresses.format(address.getAddress());
      return "http://"
          + (host.indexOf(':') < 0 ? host : "[" + host + "]")
          + ":"
          + address.getPort();
    }
  }

  /**
   * Parses {@code unix:/run/cni/metrics.sock}, {@code 127.0.0.1:9469} or {@code [::1]:9469}.
   *
   * @throws CniException code 4 if it is neither, or the address is not a loopback address: metrics
   *     name containers, and are served without authentication
   */
  static MetricsAddress parse(String text) throws CniException {
    if (text.startsWith("unix:")) {
      return unixSocket(text, text.substring("unix:".length()));
    }
    int colon = text.lastIndexOf(':');
    if (colon < 0) {
      throw invalid(text, "must be unix:PATH or ADDRESS:PORT, such as 127.0.0.1:9469");
    }
    InetAddress host = host(text, text.substring(0, colon));
    if (!host.isLoopbackAddress()) {
      throw invalid(
          text,
          "is not a loopback address; metrics are served without authentication, so use 127.0.0.1,"
              + " [::1] or a Unix socket behind a proxy that authenticates");
    }
    return new Loopback(new InetSocketAddress(host, port(text, text.substring(colon + 1))));
  }

  private static MetricsAddress unixSocket(String text, String path) throws CniException {
    try {
      Path parsed = Path.of(path);
      if (parsed.isAbsolute()) {
        return new UnixSocket(parsed.normalize());
      }
    } catch (InvalidPathException e) {
      // reported below
    }
    throw invalid(text, "must have an absolute path, such as unix:/run/cni/metrics.sock");
  }

  private static InetAddress host(String text, String host) throws CniException {
    boolean inBrackets = host.startsWith("[") && host.endsWith("]");
    try {
      return host.equals("localhost")
          ? InetAddress.getLoopbackAddress()
          : InetAddresses.parse(inBrackets ? host.substring(1, host.length() - 1) : host);
    } catch (IllegalArgumentException e) {
      throw invalid(text, "must have an IP address before the port, such as 127.0.0.1");
    }
  }

  private static int port(String text, String port) throws CniException {
    try {
      int number = Integer.parseInt(port);
      if (number >= 0 && number <= 65535) {
        return number;
      }
    } catch (NumberFormatException e) {
      // reported below
    }
    throw invalid(text, "must have a port from 0 to 65535");
  }

  private static CniException invalid(String text, String why) {
    return new CniException(
        ErrorCode.INVALID_PARAMETER, "--metrics " + Json.quote(text) + " " + why);
  }
}
