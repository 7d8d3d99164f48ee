// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import cni.netlink.ffm.unix.PeerCredentials;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/**
 * Decides whether the host can serve a caller as it would serve itself: the same build, paths that
 * mean the same, the same privileges.
 *
 * @param image the image that this process runs from
 * @param mountNamespace of this process
 * @param userNamespace of this process
 * @param networkNamespace of this process
 * @param user the user id of this process
 */
record CallerCheck(
    ImageIdentity image,
    FileIdentity mountNamespace,
    FileIdentity userNamespace,
    FileIdentity networkNamespace,
    int user) {
  private static final Path NAMESPACES = Path.of("/proc/self/ns");
  private static final int ROOT = 0;
  private static final Set<String> ATTACHMENT_VERBS = Set.of("ADD", "CHECK", "DEL");

  /**
   * Creates the check for callers of an image.
   *
   * @throws IOException if the image has no lib/modules, or /proc is not mounted
   */
  static CallerCheck ofImage(Path image) throws IOException {
    return new CallerCheck(
        ImageIdentity.of(image),
        FileIdentity.of(NAMESPACES.resolve("mnt")),
        FileIdentity.of(NAMESPACES.resolve("user")),
        FileIdentity.of(NAMESPACES.resolve("net")),
        (Integer) Files.getAttribute(Path.of("/proc/self/"), "unix:uid"));
  }

  /** Returns whether a process may make requests: root, and the user of this process. */
  boolean isAllowed(PeerCredentials peer) {
    return peer.uid() == ROOT || peer.uid() == user;
  }

  /** Returns why the caller has to serve the request itself; empty if the host can. */
  Optional<String> refusal(ReceivedRequest received) {
    if (!received.image().equals(image)) {
      return Optional.of("the host runs another build of the image; restart it");
    }
    if (!received.mountNamespace().equals(mountNamespace)) {
      return Optional.of("the caller is in another mount namespace");
    }
    if (!received.userNamespace().equals(userNamespace)) {
      return Optional.of("the caller is in another user namespace");
    }
    return containerObjection(received);
  }

  private static Optional<String> containerObjection(ReceivedRequest received) {
    String path = received.request().variable("CNI_NETNS");
    if (!ATTACHMENT_VERBS.contains(received.request().variable("CNI_COMMAND"))) {
      return Optional.empty(); // libcni sets CNI_NETNS=dummy for VERSION
    }
    if (!path.isEmpty() && !path.startsWith("/")) {
      return Optional.of("CNI_NETNS is a relative path");
    }
    Optional<FileIdentity> callers = received.containerNamespace();
    if (callers.isEmpty()) {
      return Optional.empty(); // it leads nowhere, for the caller
    }
    try {
      FileIdentity own = FileIdentity.of(Path.of(path));
      return own.equals(callers.get())
          ? Optional.empty()
          : Optional.of(
              "CNI_NETNS leads to another file in the host: %s, not %s"
                  .formatted(own, callers.get()));
    } catch (IOException | InvalidPathException e) {
      return Optional.of("CNI_NETNS leads nowhere in the host: " + e.getMessage());
    }
  }
}
