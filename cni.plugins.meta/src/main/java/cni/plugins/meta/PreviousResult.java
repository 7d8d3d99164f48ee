// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.plugins.support.LoopbackFilter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Views of {@code prevResult}, the result of the plugins that run before a chained plugin
 * (specification, section 3). They leave out what {@link LoopbackFilter} recognizes, which the
 * result has if the chain begins with the loopback plugin: no packet from another host has it.
 */
public final class PreviousResult {
  private PreviousResult() {}

  /**
   * Returns the previous result.
   *
   * @throws CniException code 7 if the request has none
   */
  public static Result require(AttachmentRequest request) throws CniException {
    return request
        .prevResult()
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INVALID_CONFIG,
                    "prevResult is missing: "
                        + request.config().type()
                        + " must follow a plugin that makes an interface"));
  }

  /** Returns whether an update changes neither configuration, arguments nor the previous result. */
  public static boolean isUnchanged(UpdateRequest request) {
    return request.isUnchanged()
        && request.current().prevResult().equals(request.desired().prevResult());
  }

  /**
   * Returns a predicate for the container's interface: the interface with the name CNI_IFNAME that
   * has a sandbox, or, if none of that name has one, the interface of that name without a sandbox.
   */
  public static Predicate<Result.Interface> isContainerInterface(
      AttachmentRequest request, Result previous) {
    String name = request.attachment().interfaceName();
    boolean sandboxed =
        previous.interfaces().stream().anyMatch(it -> it.name().equals(name) && !it.isOnHost());
    return it -> it.name().equals(name) && it.isOnHost() != sandboxed;
  }

  /** Returns the first interface, which for a bridge plugin is the bridge; absent for none. */
  public static Optional<Result.Interface> firstInterface(Result previous) {
    return previous.interfaces().stream().filter(it -> !LoopbackFilter.isLoopback(it)).findFirst();
  }

  /** Returns the addresses of all interfaces. */
  public static List<Result.IpConfig> ips(Result previous) {
    return previous.ips().stream().filter(ip -> !LoopbackFilter.isLoopback(ip, previous)).toList();
  }

  /**
   * Returns the addresses that refer to the container's interface, and those that refer to no
   * interface of the result.
   */
  public static List<Result.IpConfig> containerIps(AttachmentRequest request, Result previous) {
    Predicate<Result.Interface> isContainers = isContainerInterface(request, previous);
    return ips(previous).stream()
        .filter(
            ip -> {
              int index = ip.interfaceIndex().orElse(-1);
              boolean unassigned = index < 0 || index >= previous.interfaces().size();
              return unassigned || isContainers.test(previous.interfaces().get(index));
            })
        .toList();
  }

  /** Returns the first address of each family among {@link #containerIps}, IPv4 first. */
  public static List<Cidr> firstAddressPerFamily(AttachmentRequest request, Result previous) {
    List<Cidr> first = new ArrayList<>();
    for (boolean v4 : List.of(true, false)) {
      containerIps(request, previous).stream()
          .map(Result.IpConfig::address)
          .filter(address -> address.isV4() == v4)
          .findFirst()
          .ifPresent(first::add);
    }
    return first;
  }
}
