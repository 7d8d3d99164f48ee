package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.Result;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** Removes the loopback plugin's contribution from the previous result of a chained plugin. */
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

  private static Result filter(Result previous) {
    List<Result.Interface> interfaces = new ArrayList<>();
    List<OptionalInt> newIndices = new ArrayList<>();
    for (Result.Interface it : previous.interfaces()) {
      boolean loopback = it.name().equals(LO) && !it.isOnHost();
      newIndices.add(loopback ? OptionalInt.empty() : OptionalInt.of(interfaces.size()));
      if (!loopback) {
        interfaces.add(it);
      }
    }
    List<Result.IpConfig> ips = new ArrayList<>();
    for (Result.IpConfig ip : previous.ips()) {
      int index = ip.interfaceIndex().orElse(-1);
      if (index >= 0 && index < newIndices.size()) {
        newIndices.get(index).ifPresent(newIndex -> ips.add(ip.withInterface(newIndex)));
      } else if (!ip.address().address().isLoopbackAddress()) { // of a version without indices
        ips.add(ip);
      }
    }
    return previous.withInterfaces(interfaces).withIps(ips);
  }
}
