// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import java.nio.file.Path;
import java.util.Optional;

/**
 * The files of a data directory.
 *
 * @param data the directory
 */
record StoreFiles(Path data) {
  /** Returns the file that is locked. */
  Path lock() {
    return data.resolve("lock");
  }

  /** Returns the file of the {@link ChangeJournal}. */
  Path changes() {
    return data.resolve("changes");
  }

  /** Returns the file of the policies in force. */
  Path policies() {
    return data.resolve("policies.json");
  }

  /** Returns the file of the guards. */
  Path guards() {
    return data.resolve("guards.json");
  }

  /** Returns the file of the connections that are cut. */
  Path cuts() {
    return data.resolve("cuts.json");
  }

  /** Returns the file of the {@link HostMark}. */
  Path host() {
    return data.resolve("host");
  }

  /** Returns the file that another one is written as, before it is renamed. */
  Path temporary() {
    return data.resolve(".temporary");
  }

  /** Returns the directory with a file for each attachment. */
  Path endpoints() {
    return data.resolve("endpoints");
  }

  /** Returns the file of an attachment; none of the parts of its name has a slash or a colon. */
  Path endpoint(Endpoint.Id id) {
    return endpoints().resolve(id.network() + ":" + id.containerId() + ":" + id.ifname());
  }

  /** Returns the attachment that a file is of, by its name. */
  static Optional<Endpoint.Id> id(Path endpoint) {
    String[] parts = endpoint.getFileName().toString().split(":", -1);
    return parts.length == 3
        ? Optional.of(new Endpoint.Id(parts[0], parts[1], parts[2]))
        : Optional.empty();
  }
}
