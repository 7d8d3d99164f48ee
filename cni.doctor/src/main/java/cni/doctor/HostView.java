// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.api.PluginConfig;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.runtime.PluginOrigin;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** A host as examinations see it. Each part is read once, when it is first needed. */
final class HostView implements AutoCloseable {
  private final Cni cni;
  private final HostLocations locations;
  private final HostKernel kernel;
  private final Lazy<List<NetworkFile>> files;
  private final Lazy<List<AttachmentView>> attachments;
  private final Lazy<Map<String, Path>> executables;
  private final Map<Path, Lazy<Optional<NamespaceSnapshot>>> namespaces = new HashMap<>();
  private final Map<Path, List<Reservation>> reservations = new HashMap<>();

  /**
   * Opens the host's network namespace.
   *
   * @throws IOException if it cannot be entered
   */
  HostView(Cni cni, HostLocations locations) throws IOException {
    this.cni = cni;
    this.locations = locations;
    this.kernel = HostKernel.open(locations);
    this.files = new Lazy<>(() -> NetworkFile.readAll(locations.networks(), cni));
    this.attachments = new Lazy<>(this::readAttachments);
    this.executables = new Lazy<>(this::readExecutables);
  }

  Cni cni() {
    return cni;
  }

  HostLocations locations() {
    return locations;
  }

  HostKernel kernel() {
    return kernel;
  }

  /** Returns the files of network configurations, in the order in which they are searched. */
  List<NetworkFile> files() throws IOException, CniException {
    return files.get();
  }

  /**
   * Returns the valid networks; of several with one name the first, which is used. An invalid one
   * is a finding by itself, and does not keep the others from being examined.
   */
  List<Network> networks() throws IOException, CniException {
    List<Network> networks = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (NetworkFile file : files()) {
      if (file.network().isPresent() && names.add(file.name()) && file.isValid()) {
        networks.add(file.network().get());
      }
    }
    return networks;
  }

  /** Returns the attachments in the cache. */
  List<AttachmentView> attachments() throws IOException, CniException {
    return attachments.get();
  }

  /** Returns the attachments whose ADD has begun, see {@link Cni#pendingAdds}. */
  List<CachedAttachment> pendingAdds() throws IOException, CniException {
    return Directories.exists(journal()) ? cni.pendingAdds() : List.of();
  }

  /** Returns the attachments whose ADD was interrupted, see {@link Cni#interruptedAdds}. */
  List<CachedAttachment> interruptedAdds() throws IOException, CniException {
    return Directories.exists(journal()) ? cni.interruptedAdds() : List.of();
  }

  /** Returns the directory of {@link Cni#pendingAdds}, which treats an unreadable one as empty. */
  private Path journal() {
    return locations.cache().resolve("begun");
  }

  private List<AttachmentView> readAttachments() throws IOException, CniException {
    boolean exists = Directories.exists(locations.cache().resolve("results"));
    List<AttachmentView> views = new ArrayList<>();
    for (CachedAttachment cached : exists ? cni.attachments() : List.<CachedAttachment>of()) {
      Lazy<Optional<NamespaceSnapshot>> namespace =
          cached
              .attachment()
              .namespace()
              .map(this::namespace)
              .orElseGet(() -> new Lazy<>(Optional::empty));
      views.add(new AttachmentView(cached, kernel, namespace));
    }
    return views;
  }

  private Lazy<Optional<NamespaceSnapshot>> namespace(Path path) {
    return namespaces.computeIfAbsent(path, key -> new Lazy<>(() -> NamespaceSnapshot.read(key)));
  }

  /** Returns the reservations of a network. */
  List<Reservation> reservations(HostLocalRanges ranges) throws IOException {
    List<Reservation> known = reservations.get(ranges.directory());
    if (known == null) {
      known = Reservation.readAll(ranges.directory());
      reservations.put(ranges.directory(), known);
    }
    return known;
  }

  /**
   * Returns the ranges of a network; absent if it does not use host-local, or its configuration is
   * invalid, which is a finding by itself.
   */
  static Optional<HostLocalRanges> ranges(Network network) {
    try {
      return HostLocalRanges.of(network.config());
    } catch (CniException e) {
      return Optional.empty();
    }
  }

  /** Returns the executables that serve plugin types, by type. */
  Map<String, Path> executables() throws IOException, CniException {
    return executables.get();
  }

  /** Of several plugins of a type, the first in the list is used. */
  private Map<String, Path> readExecutables() throws CniException {
    Map<String, PluginOrigin> used = new HashMap<>();
    cni.plugins().list().forEach(it -> used.putIfAbsent(it.type(), it.origin()));
    Map<String, Path> files = new HashMap<>();
    used.forEach(
        (type, origin) -> {
          if (origin instanceof PluginOrigin.Executable(Path file)) {
            files.put(type, file);
          }
        });
    return files;
  }

  /** Returns the attachments whose interface exists. */
  List<AttachmentView> present() throws IOException, CniException {
    List<AttachmentView> present = new ArrayList<>();
    for (AttachmentView attachment : attachments()) {
      if (attachment.link().isPresent()) {
        present.add(attachment);
      }
    }
    return present;
  }

  /** Returns the plugin of a type in the chain of a network; absent if there is none. */
  static Optional<PluginConfig> plugin(Network network, String type) {
    return network.config().plugins().stream().filter(it -> it.type().equals(type)).findFirst();
  }

  @Override
  public void close() {
    kernel.close();
  }
}
