// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.plugins.ipam.NoOpPluginHost;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.ReferencePlugins;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Repair and update of the reservations of an attachment. */
class HostLocalUpdateTest {
  private static final String RANGES =
      "\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"}],[{\"subnet\":\"fd01::/64\"}]]";

  private static final String NOT_RESERVED = " reserved for container a, interface eth0 in ";

  private final HostLocalPlugin plugin = new HostLocalPlugin();

  @TempDir Path data;

  /** The result of the ADD of container a. */
  private Result added = Result.EMPTY;

  @BeforeEach
  void add() throws CniException {
    added = plugin.add(request("a", RANGES, "", Map.of()));
    assertEquals(List.of("10.1.0.2", "fd01::2"), reserved());
  }

  private AttachmentRequest request(
      String container, String ipam, String more, Map<String, String> args) throws CniException {
    var context =
        new CallContext(
            Optional.empty(),
            Deadline.none(),
            type -> {
              throw new CniException(ErrorCode.INTERNAL, type);
            });
    return new AttachmentRequest(
        HostLocalPluginTest.config(ipam + ",\"dataDir\":\"" + data + "\"", more),
        Attachment.of(container, Path.of("/run/netns/none"), "eth0").withArgs(args),
        container.equals("a") ? Optional.of(added) : Optional.empty(),
        context);
  }

  private UpdateTester tester(UpdateRequest request) {
    return new UpdateTester(plugin, request, () -> HostSnapshot.of(data));
  }

  private UpdateTester repair() throws CniException {
    return tester(UpdateRequest.unchanged(request("a", RANGES, "", Map.of())));
  }

  private UpdateTester update(String ipam, String more, Map<String, String> args)
      throws CniException {
    return tester(
        new UpdateRequest(request("a", RANGES, "", Map.of()), request("a", ipam, more, args)));
  }

  private UpdateTester update(String ipam, String more) throws CniException {
    return update(ipam, more, Map.of());
  }

  private static List<String> addresses(Result result) {
    return result.ips().stream()
        .map(
            ip ->
                ip.address()
                    + ip.gateway().map(it -> " via " + InetAddresses.format(it)).orElse(""))
        .toList();
  }

  private Path file(String name) {
    return data.resolve("n").resolve(name);
  }

  private List<String> reserved() {
    try (Stream<Path> files = Files.list(data.resolve("n"))) {
      return files
          .map(file -> String.valueOf(file.getFileName()))
          .filter(name -> name.matches("[0-9a-f:]+[.:][0-9a-f.:]+"))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private void assertRefused(ErrorCode code, String part, UpdateTester update) throws Exception {
    HostSnapshot before = HostSnapshot.of(data);
    CniException e = assertThrows(CniException.class, update::compare);
    assertEquals(code.value(), e.code(), e.getMessage());
    assertTrue(e.getMessage().contains(part), e::getMessage);
    HostSnapshot.of(data).requireEqual(before);
  }

  private static void assertUnchangeable(String finding, UpdateTester update) throws Exception {
    assertEquals(List.of(finding), update.compare());
    var error = assertThrows(AssertionError.class, update::apply);
    assertEquals("no change removes: " + finding, error.getMessage());
  }

  @Test
  void anIntactAttachmentNeedsNoChange() throws Exception {
    assertEquals(Optional.empty(), repair().check());
    assertEquals(List.of(), repair().compare());
    assertEquals(added, repair().apply());
  }

  @Test
  void missingReservationsAreWrittenAgain() throws Exception {
    HostSnapshot before = HostSnapshot.of(data);
    Files.delete(file("10.1.0.2"));
    Files.delete(file("fd01::2"));
    String finding = "no address is" + NOT_RESERVED + data.resolve("n");
    assertEquals(Optional.of(finding), repair().check());
    assertEquals(List.of(finding, finding), repair().compare());
    repair().requireUndo();
    assertEquals(added, repair().apply());
    HostSnapshot.of(data).requireEqual(before);
  }

  @Test
  void oneMissingReservationIsFoundAndWrittenAgain() throws Exception {
    HostSnapshot before = HostSnapshot.of(data);
    Files.delete(file("fd01::2"));
    assertEquals(
        Optional.of("address fd01::2 is not" + NOT_RESERVED + data.resolve("n")), repair().check());
    repair().requireUndo();
    repair().apply();
    HostSnapshot.of(data).requireEqual(before);
  }

  @Test
  void aDeletedDirectoryIsCreatedAgain() throws Exception {
    Path directory = data.resolve("n");
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(directory);
    assertEquals(added, repair().apply());
    assertEquals(List.of("10.1.0.2", "fd01::2"), reserved());
  }

  @Test
  void anAddressThatAnotherContainerHoldsIsNotTaken() throws Exception {
    Files.writeString(file("10.1.0.2"), "b\r\neth0");
    assertUnchangeable(
        "address 10.1.0.2 is not%s%s: 10.1.0.2 is held by container b, eth0"
            .formatted(NOT_RESERVED, data.resolve("n")),
        repair());
    assertEquals("b\r\neth0", Files.readString(file("10.1.0.2")));
  }

  @Test
  void anAddressThatIsTakenBetweenComparisonAndChangeIsNotTakenBack() throws Exception {
    Files.delete(file("fd01::2"));
    try (var differences = new Differences()) {
      plugin.compare(UpdateRequest.unchanged(request("a", RANGES, "", Map.of())), differences);
      Files.writeString(file("fd01::2"), "b\r\neth0");
      Differences.Change change = differences.list().getFirst().change().orElseThrow();
      CniException e = assertThrows(CniException.class, () -> change.apply().run());
      assertEquals(ErrorCode.TRY_AGAIN_LATER.value(), e.code());
      change.undo().run(); // does not release what another container holds
    }
    assertEquals("b\r\neth0", Files.readString(file("fd01::2")));
  }

  @Test
  void reservationsOfOldPluginsKeepTheirFormat() throws Exception {
    Files.writeString(file("10.1.0.2"), "a");
    Files.writeString(file("fd01::2"), "a");
    assertEquals(List.of(), repair().compare());
    Files.delete(file("fd01::2"));
    repair().apply();
    assertEquals("a", Files.readString(file("fd01::2")));
    String ips = ",\"runtimeConfig\":{\"ips\":[\"10.1.0.9\"]}";
    update(RANGES, ips).requireUndo();
    update(RANGES, ips).apply();
    assertEquals(List.of("10.1.0.9", "fd01::2"), reserved());
    plugin.delete(request("a", RANGES, ips, Map.of()));
    assertEquals(List.of(), reserved());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        ",\"runtimeConfig\":{\"ips\":[\"10.1.0.9/24\",\"fd01::9\"]}|",
        ",\"args\":{\"cni\":{\"ips\":[\"10.1.0.9\",\"fd01::9\"]}}|",
        ",\"runtimeConfig\":{\"ips\":[\"fd01::9\"]}|10.1.0.9"
      })
  void requestedAddressesReplaceThePresentOnes(String more, String argument) throws Exception {
    Map<String, String> args = argument == null ? Map.of() : Map.of("IP", argument);
    UpdateTester update = update(RANGES, more, args);
    assertEquals(
        List.of(
            "address 10.1.0.9 is not" + NOT_RESERVED + data.resolve("n"),
            "address fd01::9 is not" + NOT_RESERVED + data.resolve("n")),
        update.compare());
    update.requireUndo();
    Result result = update.apply();
    assertEquals(List.of("10.1.0.9/24 via 10.1.0.1", "fd01::9/64 via fd01::1"), addresses(result));
    assertEquals(List.of("10.1.0.9", "fd01::9"), reserved());
    HostSnapshot updated = HostSnapshot.of(data);
    plugin.delete(request("a", RANGES, more, args));
    assertEquals(List.of(), reserved());
    assertEquals(result, plugin.add(request("a", RANGES, more, args)));
    for (String address : reserved()) { // as a new ADD reserves them
      assertTrue(updated.lines().contains("n/%s: a\r\neth0".formatted(address)));
    }
  }

  @Test
  void anInterruptedUpdateOfAddressesIsCompletedOrRolledBack() throws Exception {
    String ips = ",\"runtimeConfig\":{\"ips\":[\"10.1.0.9\"]}";
    AttachmentRequest old = request("a", RANGES, "", Map.of());
    AttachmentRequest desired = request("a", RANGES, ips, Map.of());
    Files.writeString(file("10.1.0.9"), "a\r\neth0"); // killed after the change
    assertEquals(Optional.empty(), repair().check());
    assertEquals(
        List.of("10.1.0.9/24 via 10.1.0.1", "fd01::2/64 via fd01::1"),
        addresses(tester(new UpdateRequest(old, desired)).apply()));
    assertEquals(List.of("10.1.0.9", "fd01::2"), reserved());
    Files.writeString(file("10.1.0.2"), "a\r\neth0");
    tester(new UpdateRequest(desired, old)).apply();
    assertEquals(List.of("10.1.0.2", "fd01::2"), reserved());
    Files.writeString(file("10.1.0.9"), "a\r\neth0"); // killed before the completion
    repair().apply();
    assertEquals(List.of("10.1.0.2", "fd01::2"), reserved());
  }

  @Test
  void requestedAddressesThatCannotBeAssignedAreRefusedAsByAdd() throws Exception {
    plugin.add(request("b", RANGES, "", Map.of()));
    assertRefused(
        ErrorCode.TRY_AGAIN_LATER,
        "the requested address 10.1.0.3 is held by container b, eth0",
        update(RANGES, ",\"runtimeConfig\":{\"ips\":[\"10.1.0.3\"]}"));
    assertRefused(
        ErrorCode.INVALID_CONFIG,
        "the requested address fd01::1 is the subnet's gateway",
        update(RANGES, ",\"runtimeConfig\":{\"ips\":[\"fd01::1\"]}"));
    assertRefused(
        ErrorCode.INVALID_CONFIG,
        "the requested address 10.2.0.1 is in none of the network's ranges",
        update(RANGES, ",\"runtimeConfig\":{\"ips\":[\"10.2.0.1\"]}"));
    assertRefused(
        ErrorCode.INVALID_CONFIG,
        "more addresses are requested than there are range sets; left over: 10.1.0.8",
        update(RANGES, ",\"runtimeConfig\":{\"ips\":[\"10.1.0.7\",\"10.1.0.8\"]}"));
    assertRefused(ErrorCode.INVALID_PARAMETER, "IP=", update(RANGES, "", Map.of("IP", "10.1.0")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"ranges\":[[{\"subnet\":\"10.1.0.0/16\",\"gateway\":\"10.1.9.9\"}],[{\"subnet\":\"fd01::/48\"}]]"
            + "||10.1.0.2/16 via 10.1.9.9,fd01::2/48 via fd01::1",
        "\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"10.1.0.2\",\"rangeEnd\":\"10.1.0.2\","
            + "\"gateway\":\"10.1.0.254\",\"ranges\":[[{\"subnet\":\"fd01::/64\"}]]"
            + "||10.1.0.2/24 via 10.1.0.254,fd01::2/64 via fd01::1",
        "\"ranges\":[[{\"subnet\":\"fd01::/64\"}]]"
            + "|,\"runtimeConfig\":{\"ipRanges\":[[{\"subnet\":\"10.1.0.0/25\"}]]}"
            + "|10.1.0.2/25 via 10.1.0.1,fd01::2/64 via fd01::1",
        "\"ranges\":[[{\"subnet\":\"10.2.0.0/24\"}],[{\"subnet\":\"fd01::/64\"}]]"
            + "|,\"runtimeConfig\":{\"ips\":[\"10.2.0.7\"]}"
            + "|10.2.0.7/24 via 10.2.0.1,fd01::2/64 via fd01::1"
      })
  void rangesChangeWhileTheyContainTheAddresses(String ipam, String more, String expected)
      throws Exception {
    Result result = update(ipam, more == null ? "" : more).apply();
    assertEquals(expected, String.join(",", addresses(result)));
    assertEquals(
        result.ips().stream().map(ip -> InetAddresses.format(ip.address().address())).toList(),
        reserved());
  }

  @Test
  void rangesThatDoNotContainTheAddressesAreRefused() throws Exception {
    assertUnchangeable(
        "address fd01::2 of the attachment is in none of the ranges: 10.1.0.1-10.1.0.254",
        update("\"subnet\":\"10.1.0.0/24\"", ""));
    assertUnchangeable(
        "the attachment has no address in the ranges 10.2.0.1-10.2.0.254",
        update(RANGES + ",\"subnet\":\"10.2.0.0/24\"", ""));
    assertUnchangeable(
        "address 10.1.0.2 of the attachment is the gateway of the ranges 10.1.0.1-10.1.0.254",
        update(RANGES.replace("/24\"", "/24\",\"gateway\":\"10.1.0.2\""), ""));
    assertRefused(
        ErrorCode.INVALID_CONFIG,
        "has bits set after the prefix",
        update("\"subnet\":\"10.1.0.1/24\"", ""));
  }

  @Test
  void routesAndResolverSettingsAreThoseOfTheDesiredConfiguration() throws Exception {
    Path resolvConf = Files.writeString(data.resolve("resolv.conf"), "nameserver 10.1.0.53\n");
    String ipam =
        RANGES + ",\"routes\":[{\"dst\":\"10.9.0.0/16\"}],\"resolvConf\":\"" + resolvConf + "\"";
    Result result = update(ipam, "").apply();
    assertEquals(added.ips(), result.ips());
    assertEquals("10.9.0.0/16", result.routes().getFirst().destination().toString());
    assertEquals(List.of("10.1.0.53"), result.dns().nameservers());
    added = result;
    Files.delete(resolvConf);
    assertEquals(result, tester(UpdateRequest.unchanged(request("a", ipam, "", Map.of()))).apply());
    assertRefused(ErrorCode.IO_FAILURE, "ipam.resolvConf " + resolvConf, update(ipam, ""));
  }

  @Test
  void addressesOfOtherPluginsInTheResultAreIgnored() throws Exception {
    Result other = plugin.add(request("b", RANGES.replace("10.1", "10.3"), "", Map.of()));
    added = added.merge(other);
    assertEquals(List.of(), repair().compare());
  }

  @Test
  void aResidentPluginKnowsWhatItHasChanged() throws Exception {
    plugin.start(new NoOpPluginHost(data));
    try {
      Files.delete(file("fd01::2"));
      repair().applyOnly();
      assertEquals(Optional.empty(), repair().check());
      update(RANGES, ",\"runtimeConfig\":{\"ips\":[\"10.1.0.3\"]}").apply();
      assertEquals(
          List.of("10.1.0.4/24 via 10.1.0.1", "fd01::3/64 via fd01::1"),
          addresses(plugin.add(request("b", RANGES, "", Map.of()))));
      plugin.delete(request("a", RANGES, "", Map.of()));
      assertEquals(List.of("10.1.0.4", "fd01::3"), reserved());
    } finally {
      plugin.stop();
    }
  }

  @Test
  @KernelTest(reference = true)
  void theReferenceChecksAndDeletesWhatAnUpdateReserved() throws Exception {
    String ips = ",\"runtimeConfig\":{\"ips\":[\"10.1.0.9\",\"fd01::9\"]}";
    update(RANGES, ips).apply();
    runReference("CHECK", request("a", RANGES, ips, Map.of()));
    runReference("DEL", request("a", RANGES, ips, Map.of()));
    assertEquals(List.of(), reserved());
  }

  private static void runReference(String verb, AttachmentRequest request) throws Exception {
    var builder =
        new ProcessBuilder(ReferencePlugins.directory().resolve("host-local").toString())
            .redirectErrorStream(true);
    builder.environment().put("CNI_COMMAND", verb);
    builder.environment().put("CNI_CONTAINERID", request.attachment().containerId());
    builder.environment().put("CNI_IFNAME", request.attachment().interfaceName());
    builder.environment().put("CNI_NETNS", request.requireNamespace().toString());
    builder.environment().put("CNI_PATH", ReferencePlugins.directory().toString());
    Process process = builder.start();
    try (var input = process.getOutputStream()) {
      input.write(Json.bytes(request.config().json().deepCopy().put("cniVersion", "1.0.0")));
    }
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
  }
}
