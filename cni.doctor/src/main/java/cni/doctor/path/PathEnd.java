// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.InetAddresses;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.List;

/** An end of a path: who sends, or who should receive. */
public sealed interface PathEnd {
  /** Returns the name by which reports refer to it. */
  String name();

  /** The host. */
  record Host() implements PathEnd {
    @Override
    public String name() {
      return "host";
    }
  }

  /**
   * A network namespace, usually that of a container.
   *
   * @param name the name: {@code NETWORK/CONTAINER}, or that of the namespace
   * @param path the path of the namespace, which may be gone
   * @param addresses the addresses that it should have; empty if it is no container of a network
   */
  record Namespace(String name, Path path, List<InetAddress> addresses) implements PathEnd {
    /** Copies the list. */
    public Namespace {
      addresses = List.copyOf(addresses);
    }
  }

  /** An address outside the host and its containers, whose namespace cannot be entered. */
  record Outside(InetAddress address) implements PathEnd {
    @Override
    public String name() {
      return InetAddresses.format(address);
    }
  }
}
