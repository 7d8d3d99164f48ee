// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.staticip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.testing.HostSnapshot;
import cni.testing.UpdateTester;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StaticPluginTest {
  private static final String ADDRESSES =
      """
      "addresses": [ { "address": "10.10.0.1/24", "gateway": "10.10.0.254" },
                     { "address": "3ffe:ffff:0:1ff::1/64", "gateway": "3ffe:ffff:0::1" } ],
      "routes": [ { "dst": "0.0.0.0/0" }, { "dst": "192.168.0.0/16", "gw": "10.10.5.1" } ],
      "dns": { "nameservers": ["8.8.8.8"], "domain": "example.com" }
      """;

  private final StaticPlugin plugin = new StaticPlugin();

  private static AttachmentRequest request(
      String version, String ipam, String more, String args, Optional<Result> previous)
      throws CniException {
    String text =
        "{\"cniVersion\":\"%s\",\"name\":\"n\",\"type\":\"x\",\"ipam\":{\"type\":\"static\"%s}%s}"
            .formatted(version, ipam.isEmpty() ? "" : "," + ipam, more);
    return new AttachmentRequest(
        PluginConfig.of(new ConfigObject(Json.parse(text, "test"), "")),
        new Attachment(
            new AttachmentId("c", "eth0"), Optional.empty(), CniArgs.ofText(args), Map.of()),
        previous,
        new CallContext(
            Optional.empty(),
            Deadline.none(),
            type -> {
              throw new CniException(ErrorCode.INTERNAL, type);
            }));
  }

  private static AttachmentRequest request(String ipam, String more, String args)
      throws CniException {
    return request("1.1.0", ipam, more, args, Optional.empty());
  }

  private static List<String> describe(Result result) {
    return result.ips().stream()
        .map(
            ip ->
                ip.address()
                    + ip.gateway().map(it -> " via " + InetAddresses.format(it)).orElse(""))
        .toList();
  }

  @Test
  void returnsConfiguredAddresses() throws CniException {
    Result result = plugin.add(request(ADDRESSES, "", ""));
    assertEquals(
        List.of("10.10.0.1/24 via 10.10.0.254", "3ffe:ffff:0:1ff::1/64 via 3ffe:ffff::1"),
        describe(result));
    assertEquals(2, result.routes().size());
    assertEquals("example.com", result.dns().domain());
    plugin.check(request("1.1.0", ADDRESSES, "", "", Optional.of(result)));
    plugin.delete(request(ADDRESSES, "", ""));
    plugin.status(
        new NetworkRequest(
            request(ADDRESSES, "", "").config(), request(ADDRESSES, "", "").context()));
  }

  @Test
  void cniArgsAddAddresses() throws CniException {
    String args = "IP=10.11.0.9/16, fd00::9/64;GATEWAY=10.11.0.1,fd00::1,10.11.0.2";
    assertEquals(
        List.of("10.11.0.9/16 via 10.11.0.2", "fd00::9/64 via fd00::1"),
        describe(plugin.add(request("", "", args))));
    assertEquals(4, plugin.add(request(ADDRESSES, "", args)).ips().size());
  }

  @Test
  void argsAndCapabilityReplaceConfiguredAddresses() throws CniException {
    String args = ",\"args\":{\"cni\":{\"ips\":[\"10.12.0.9/16\"]}}";
    assertEquals(List.of("10.12.0.9/16"), describe(plugin.add(request(ADDRESSES, args, ""))));
    String both = args + ",\"runtimeConfig\":{\"ips\":[\"10.13.0.9/16\"]}";
    assertEquals(List.of("10.13.0.9/16"), describe(plugin.add(request(ADDRESSES, both, ""))));
  }

  @Test
  void checkComparesConfigurationWithPrevResult() throws CniException {
    Result result = plugin.add(request(ADDRESSES, "", ""));
    String changed = ADDRESSES.replace("10.10.0.254", "10.10.0.253");
    CniException e =
        assertThrows(
            CniException.class,
            () -> plugin.check(request("1.1.0", changed, "", "", Optional.of(result))));
    assertTrue(e.getMessage().contains("10.10.0.1/24 with gateway 10.10.0.253"), e::getMessage);
    e = assertThrows(CniException.class, () -> plugin.check(request(ADDRESSES, "", "")));
    assertTrue(e.is(ErrorCode.INVALID_CONFIG));
  }

  @Test
  void addressesThatPrevResultLacksCannotBeRepaired() throws Exception {
    Result result = plugin.add(request(ADDRESSES, "", ""));
    Result damaged = result.withIps(result.ips().subList(1, 2));
    AttachmentRequest request = request("1.1.0", ADDRESSES, "", "", Optional.of(damaged));
    UpdateTester repair = tester(UpdateRequest.unchanged(request));
    String finding =
        "address 10.10.0.1/24 with gateway 10.10.0.254 of the configuration is not in prevResult";
    assertEquals(Optional.of(finding), repair.check());
    assertEquals(List.of(finding), repair.compare());
    var error = assertThrows(AssertionError.class, repair::apply);
    assertEquals("no change removes: " + finding, error.getMessage());
  }

  private UpdateTester tester(UpdateRequest request) {
    return new UpdateTester(plugin, request, () -> new HostSnapshot(List.of()));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"addresses\":[{\"address\":\"10.10.0.7/24\",\"gateway\":\"10.10.0.9\"}]||",
        "\"addresses\":[],\"routes\":[{\"dst\":\"10.9.0.0/16\"}]||",
        "\"dns\":{\"nameservers\":[\"9.9.9.9\"]}||",
        "|,\"args\":{\"cni\":{\"ips\":[\"10.12.0.9/16\"]}}|",
        "|,\"runtimeConfig\":{\"ips\":[\"10.13.0.9/16\"]}|",
        "||IP=10.11.0.9/16;GATEWAY=10.11.0.1"
      })
  void updateReturnsWhatAddWouldReturn(
      @Nullable String ipam, @Nullable String more, @Nullable String args) throws Exception {
    AttachmentRequest current =
        request("1.1.0", ADDRESSES, "", "", Optional.of(plugin.add(request(ADDRESSES, "", ""))));
    AttachmentRequest desired =
        request(
            "1.1.0",
            ipam == null ? ADDRESSES : ipam,
            more == null ? "" : more,
            args == null ? "" : args,
            current.prevResult());
    UpdateTester update = tester(new UpdateRequest(current, desired));
    assertEquals(List.of(), update.compare());
    Result result = update.apply();
    assertEquals(plugin.add(desired), result);
    assertNotEquals(current.prevResult(), Optional.of(result));
  }

  @Test
  void updateRefusesInvalidValuesAsAddDoes() throws Exception {
    AttachmentRequest current = request(ADDRESSES, "", "");
    UpdateTester update =
        tester(
            new UpdateRequest(
                current, request("\"addresses\":[{\"address\":\"10.10.0.1\"}]", "", "")));
    CniException e = assertThrows(CniException.class, update::compare);
    assertEquals(ErrorCode.INVALID_CONFIG.value(), e.code());
    assertTrue(e.getMessage().contains("ipam.addresses[0].address"), e::getMessage);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"addresses\":[{\"address\":\"10.10.0.1\"}]||ipam.addresses[0].address",
        "\"addresses\":[{\"gateway\":\"10.10.0.1\"}]||address is missing",
        "\"addresses\":[{\"address\":\"10.1.0.1/8\",\"gateway\":\"x\"}]||gateway \"x\"",
        "|,\"runtimeConfig\":{\"ips\":[\"10.0.0.1/33\"]}|runtimeConfig.ips[0]",
        "|,\"args\":{\"cni\":{\"ips\":[5]}}|args.cni.ips[0]"
      })
  void invalidAddressIsReportedWithItsKey(
      @Nullable String ipam, @Nullable String more, String message) throws CniException {
    AttachmentRequest request = request(ipam == null ? "" : ipam, more == null ? "" : more, "");
    CniException e = assertThrows(CniException.class, () -> plugin.add(request));
    assertTrue(e.getMessage().contains(message), e::getMessage);
    assertEquals(ErrorCode.INVALID_CONFIG.value(), e.code());
  }

  @Test
  void oldVersionsAllowOneAddressPerFamily() throws CniException {
    String two = "\"addresses\":[{\"address\":\"10.1.0.1/8\"},{\"address\":\"10.1.0.2/8\"}]";
    assertEquals(2, plugin.add(request("0.3.0", two, "", "", Optional.empty())).ips().size());
    assertThrows(
        CniException.class, () -> plugin.add(request("0.2.0", two, "", "", Optional.empty())));
    assertThrows(CniException.class, () -> plugin.add(request("", "", "IP=10.0.0.1")));
  }
}
