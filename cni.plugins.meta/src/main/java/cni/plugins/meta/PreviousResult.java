package cni.plugins.meta;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** What a plugin that adjusts an interface takes from the result of the one that made it. */
public final class PreviousResult {
  private PreviousResult() {}

  /**
   * The previous result.
   *
   * @throws CniException code 7 if there is none
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

  /** Tells the container's interface: the one in a sandbox, if any is said to be in one. */
  public static Predicate<Result.Interface> isContainerInterface(
      AttachmentRequest request, Result previous) {
    String name = request.attachment().interfaceName();
    boolean sandboxed =
        previous.interfaces().stream().anyMatch(it -> it.name().equals(name) && !it.isOnHost());
    return it -> it.name().equals(name) && it.isOnHost() != sandboxed;
  }

  /** All addresses of the container's interface, or that are said to be of none. */
  public static List<Result.IpConfig> containerIps(AttachmentRequest request, Result previous) {
    Predicate<Result.Interface> own = isContainerInterface(request, previous);
    return previous.ips().stream()
        .filter(
            ip -> {
              int index = ip.interfaceIndex().orElse(-1);
              boolean ofNone = index < 0 || index >= previous.interfaces().size();
              return ofNone || own.test(previous.interfaces().get(index));
            })
        .toList();
  }

  /** The first address of each family that the container's interface has, IPv4 first. */
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
