// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.Result.IpConfig;
import cni.api.Result.Route;
import cni.api.UpdateRequest;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class AssignedResultTest {
  private static final Result.Interface ETH0 = new Result.Interface("eth0", "", 0, "/run/netns/a");
  private static final Dns DNS = new Dns(List.of("10.1.0.53"), "", List.of(), List.of());
  private static final Dns OTHER_DNS = new Dns(List.of("10.9.0.53"), "", List.of(), List.of());

  /** The result of a chain: the addresses 10.1.0.2 and fd01::2 are those of the ipam plugin. */
  private static final Result PREVIOUS =
      new Result(
          List.of(ETH0, ETH0),
          List.of(ip("10.9.0.2/24", 0), ip("10.1.0.2/24", 1), ip("fd01::2/64", 1)),
          List.of(route("10.7.0.0/16"), route("10.8.0.0/16"), route("0.0.0.0/0")),
          OTHER_DNS);

  private static IpConfig ip(String address, int index) {
    return new IpConfig(
        Cidr.parse(address),
        Optional.empty(),
        index < 0 ? OptionalInt.empty() : OptionalInt.of(index));
  }

  private static Route route(String destination) {
    return new Route(Cidr.parse(destination), Optional.empty());
  }

  private static AttachmentRequest request(String type) throws CniException {
    var config = new ConfigObject(Json.parse("{\"type\":\"" + type + "\"}", "test"), "");
    return new AttachmentRequest(
        PluginConfig.of(config),
        Attachment.of("a", Path.of("/run/netns/a"), "eth0"),
        Optional.of(PREVIOUS),
        new CallContext(
            Optional.empty(),
            Deadline.none(),
            it -> {
              throw new CniException(ErrorCode.INTERNAL, it);
            }));
  }

  private static Result replace(boolean hasDns, Dns dns) throws CniException {
    var assigned =
        new AssignedResult(
            address -> !address.getHostAddress().startsWith("10.9."),
            List.of(route("10.7.0.0/16"), route("10.8.0.0/16")),
            hasDns);
    return assigned.replacedBy(
        new Result(
            List.of(),
            List.of(ip("10.1.0.3/16", -1), ip("fd01::2/64", -1)),
            List.of(route("10.8.0.0/16"), route("10.6.0.0/16")),
            dns),
        new UpdateRequest(request("old"), request("new")));
  }

  @Test
  void replacesWhatWasAssignedAndKeepsTheRest() throws Exception {
    assertEquals(
        new Result(
            List.of(ETH0, ETH0),
            List.of(ip("10.9.0.2/24", 0), ip("10.1.0.3/16", 1), ip("fd01::2/64", 1)),
            List.of(route("10.8.0.0/16"), route("10.6.0.0/16"), route("0.0.0.0/0")),
            DNS),
        replace(true, DNS));
  }

  @Test
  void resolverSettingsOfOtherSourcesStay() throws Exception {
    assertEquals(OTHER_DNS, replace(false, Dns.NONE).dns());
    assertEquals(Dns.NONE, replace(true, Dns.NONE).dns());
  }

  @Test
  void withoutAChangeTheResultStays() throws Exception {
    AttachmentRequest request = request("old");
    assertSame(
        PREVIOUS,
        new AssignedResult(address -> true, List.of(), true)
            .replacedBy(Result.EMPTY, UpdateRequest.unchanged(request)));
  }
}
