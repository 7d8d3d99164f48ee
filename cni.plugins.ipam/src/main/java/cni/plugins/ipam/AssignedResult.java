// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam;

import cni.api.Dns;
import cni.api.Result;
import cni.api.Result.IpConfig;
import cni.api.Result.Route;
import cni.api.UpdateRequest;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Predicate;

/**
 * The result of an update: the previous result, in which what an ipam plugin assigned before is
 * replaced by what it assigns now. What other plugins of the chain added stays.
 *
 * @param isOwn whether an address of the previous result was assigned by the ipam plugin
 * @param routes the routes of the current configuration
 * @param hasDns whether the current configuration sets the resolver settings
 */
public record AssignedResult(Predicate<InetAddress> isOwn, List<Route> routes, boolean hasDns) {
  /**
   * Returns the desired result.
   *
   * @param assigned what ADD would return with the desired configuration
   */
  public Result replacedBy(Result assigned, UpdateRequest request) {
    Optional<Result> previous = request.desired().prevResult();
    if (previous.isEmpty()) {
      return assigned;
    }
    return request.isUnchanged()
        ? previous.get()
        : new Result(
            previous.get().interfaces(),
            replaceIps(previous.get().ips(), assigned.ips()),
            replaceRoutes(previous.get().routes(), assigned.routes()),
            replaceDns(previous.get().dns(), assigned.dns()));
  }

  /** New addresses belong to the interface of those that they replace. */
  private List<IpConfig> replaceIps(List<IpConfig> previous, List<IpConfig> assigned) {
    List<IpConfig> others = new ArrayList<>();
    OptionalInt index = OptionalInt.empty();
    int position = 0;
    for (IpConfig ip : previous) {
      if (!isOwn.test(ip.address().address())) {
        others.add(ip);
      } else if (index.isEmpty()) {
        index = ip.interfaceIndex();
        position = others.size();
      }
    }
    for (IpConfig ip : assigned) {
      others.add(position++, new IpConfig(ip.address(), ip.gateway(), index));
    }
    return others;
  }

  private List<Route> replaceRoutes(List<Route> previous, List<Route> assigned) {
    List<Route> all = new ArrayList<>(assigned);
    previous.stream()
        .filter(it -> !routes.contains(it) && !assigned.contains(it))
        .forEach(all::add);
    return all;
  }

  private Dns replaceDns(Dns previous, Dns assigned) {
    return assigned.isEmpty() && !hasDns ? previous : assigned;
  }
}
