// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Differences.Kind;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import java.io.IOException;
import java.util.Optional;

/**
 * Finds the interface of an attachment, in a result and in the container, for CHECK and update, and
 * creates the errors for what is missing or different. An error names the object, the expected and
 * the actual value.
 */
public final class AttachmentCheck {
  private AttachmentCheck() {}

  /**
   * Returns the position of the attachment's interface in the previous result.
   *
   * @throws CniException code 7 if the result does not list it, or in another sandbox
   */
  public static int requireIndex(AttachmentRequest request, Result result) throws CniException {
    String name = request.attachment().interfaceName();
    String path = request.attachment().sandbox();
    return result
        .indexOf(name, path)
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INVALID_CONFIG,
                    result.interfaces().stream()
                        .filter(it -> it.name().equals(name) && !it.isOnHost())
                        .findFirst()
                        .map(
                            it ->
                                "prevResult has interface %s in sandbox %s, CNI_NETNS is %s"
                                    .formatted(name, it.sandbox(), path))
                        .orElse("prevResult has no interface " + name + " in a sandbox")));
  }

  /** Creates the error for a mismatch, code 999. */
  public static CniException mismatch(String message) {
    return new CniException(ErrorCode.INTERNAL, message);
  }

  /**
   * Returns the link of the attachment's interface.
   *
   * @throws CniException code 999 if the container does not have it
   * @throws IOException if the kernel cannot be queried
   */
  public static Link requireInterface(AttachmentRequest request, NetNsSession container)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    return container.rtnetlink().link(name).orElseThrow(() -> mismatch(missing(request)));
  }

  /**
   * Returns the link of the attachment's interface. If the container does not have it, that is
   * added as a difference that only another ADD removes.
   *
   * @throws IOException if the kernel cannot be queried
   */
  public static Optional<Link> findInterface(
      AttachmentRequest request, NetNsSession container, Differences differences)
      throws IOException {
    String name = request.attachment().interfaceName();
    Optional<Link> link = container.rtnetlink().link(name);
    if (link.isEmpty()) {
      differences.of(Kind.INTERFACE).addUnchangeable(missing(request));
    }
    return link;
  }

  private static String missing(AttachmentRequest request) {
    return LinkComparison.missing(
        request.attachment().interfaceName(), LinkComparison.describeContainer(request));
  }

  /**
   * Requires that a link is of a kind.
   *
   * @param kind as the kernel names it: {@code veth}
   * @param where "the container" or "the host", for the message
   * @throws CniException code 999 if it is of another kind
   */
  public static void requireKind(Link link, String kind, String where) throws CniException {
    if (!link.isKind(kind)) {
      throw mismatch(
          "interface %s in %s is %s, expected a %s"
              .formatted(
                  link.name(),
                  where,
                  link.kind().isEmpty() ? "not a virtual device" : "a " + link.kind(),
                  kind));
    }
  }
}
