// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.Result;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Recognizes what the loopback plugin adds to a result: the container's interface {@code lo}, its
 * addresses, and loopback addresses that refer to no interface of the result.
 */
public final class LoopbackFilter {
  private static final String LO = "lo";

  private LoopbackFilter() {}

  /**
   * Returns the previous result without the loopback interface and the loopback addresses. Some
   * runtimes put the loopback plugin before the plugin that creates the interface. As with the
   * reference plugins, what loopback reports does not become a part of the attachment: the plugins
   * behind would add rules for 127.0.0.1 and ::1.
   *
   * @return empty if the request has no previous result, or one that describes loopback only
   */
  public static Optional<Result> previousResult(AttachmentRequest request) {
    return request.prevResult().map(LoopbackFilter::filter).filter(it -> !it.equals(Result.EMPTY));
  }

  /** Whether an interface is the container's loopback interface. */
  public static boolean isLoopback(Result.Interface link) {
    return link.name().equals(LO) && !link.isOnHost();
  }

  /** Whether an address of a result is that of the container's loopback interface. */
  public static boolean isLoopback(Result.IpConfig ip, Result result) {
    int index = ip.interfaceIndex().orElse(-1);
    return (index >= 0 && index < result.interfaces().size())
        ? isLoopback(result.interfaces().get(index))
        : ip.address().address().isLoopbackAddress(); // of a version without indices
  }

  private static Result filter(Result previous) {
    List<Result.Interface> interfaces = new ArrayList<>();
    List<OptionalInt> newIndices = new ArrayList<>();
    for (Result.Interface it : previous.interfaces()) {
      boolean loopback = isLoopback(it);
      newIndices.add(loopback ? OptionalInt.empty() : OptionalInt.of(interfaces.size()));
      if (!loopback) {
        interfaces.add(it);
      }
    }
    List<Result.IpConfig> ips = new ArrayList<>();
    for (Result.IpConfig ip : previous.ips()) {
      if (!isLoopback(ip, previous)) {
        int index = ip.interfaceIndex().orElse(-1);
        boolean assigned = index >= 0 && index < newIndices.size();
        ips.add(assigned ? ip.withInterface(newIndices.get(index).orElseThrow()) : ip);
      }
    }
    return previous.withInterfaces(interfaces).withIps(ips);
  }
}
