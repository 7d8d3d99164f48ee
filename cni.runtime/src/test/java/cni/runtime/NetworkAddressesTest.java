// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AddressRegistry;
import cni.api.AddressReport;
import cni.api.AttachmentRequest;
import cni.api.ClusterAddressRegistry;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.NetworkConfig;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Administration of the addresses that ipam plugins have assigned. */
class NetworkAddressesTest {
  private final FakeClusterPlugin shared = new FakeClusterPlugin();

  @TempDir private Path directory;

  /** A plugin whose addresses are those of this host. */
  private static final class LocalPlugin implements AddressRegistry {
    @Override
    public String type() {
      return "local";
    }

    @Override
    public Result add(AttachmentRequest request) {
      return Result.EMPTY;
    }

    @Override
    public void check(AttachmentRequest request) {}

    @Override
    public void delete(AttachmentRequest request) {}

    @Override
    @SuppressWarnings("NullAway") // as a careless plugin
    public AddressReport report(NetworkRequest request) throws CniException {
      return request.config().view().bool("careless") ? null : FakeClusterPlugin.REPORT;
    }
  }

  private CniBuilder builder() {
    return Cni.builder()
        .plugins(shared, new LocalPlugin(), new SettingsPlugin())
        .cache(directory.resolve("cache"))
        .executables(directory)
        .pluginDirectories()
        .timeout(Duration.ofSeconds(20));
  }

  private static NetworkConfig config(String plugins) throws CniException {
    String text =
        "{ \"cniVersion\": \"0.4.0\", \"name\": \"n\", \"plugins\": [%s] }".formatted(plugins);
    return NetworkConfig.parse(text.getBytes(UTF_8), "test");
  }

  private static String chain(String ipam, String more) {
    return "{ \"type\": \"settings\", \"ipam\": { \"type\": \"%s\" }%s }".formatted(ipam, more);
  }

  private NetworkAddresses addresses(String ipam) throws CniException {
    return builder().build().network(config(chain(ipam, ""))).addresses();
  }

  private static String refusal(int code, NetworkAddresses addresses) {
    CniException e = assertThrows(CniException.class, addresses::reports);
    assertEquals(code, e.code(), e::getMessage);
    return String.valueOf(e.getMessage());
  }

  @Test
  void operationsReachThePluginWithTheConfigurationOfStatus() throws Exception {
    NetworkAddresses addresses = addresses("shared");
    assertTrue(addresses.canList());
    assertTrue(addresses.isCluster());
    assertEquals(
        List.of(new NetworkAddresses.PluginReport("shared", FakeClusterPlugin.REPORT)),
        addresses.reports());
    assertEquals(2, addresses.importReservations(Path.of("/data/n")));
    assertEquals(3, addresses.releaseNode("b", true));
    assertFalse(addresses.resume(false));
    assertTrue(addresses.resume(true));
    assertEquals(
        List.of(
            "report: settings n 0.4.0",
            "import /data/n: settings n 0.4.0",
            "release b true: settings n 0.4.0",
            "resume false: settings n 0.4.0",
            "resume true: settings n 0.4.0"),
        shared.calls);
  }

  @Test
  void errorsOfThePluginNameTheOperation() throws Exception {
    NetworkAddresses addresses = addresses("shared");
    CniException e = assertThrows(CniException.class, () -> addresses.releaseNode("b", false));
    assertEquals(4, e.code());
    assertEquals("network n, release of a node by shared: node b is alive", e.getMessage());
  }

  @Test
  void brokenPluginsAreContained() throws Exception {
    shared.onCall =
        () -> {
          throw new IllegalStateException("oops");
        };
    assertTrue(refusal(999, addresses("shared")).contains("unexpected"));
    Network careless = builder().build().network(config(chain("local", ", \"careless\": true")));
    assertTrue(refusal(999, careless.addresses()).contains("local returned null"));
  }

  @Test
  void operationsEndByTheDeadline() throws Exception {
    shared.onCall =
        () -> {
          try {
            Thread.sleep(Duration.ofMinutes(1));
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        };
    NetworkAddresses addresses =
        builder()
            .timeout(Duration.ofMillis(100))
            .build()
            .network(config(chain("shared", "")))
            .addresses();
    assertTrue(refusal(11, addresses).contains("did not end by the deadline"));
  }

  @Test
  void importExcludesOtherOperationsOnTheNetwork() throws Exception {
    var lock = new NetworkLock(directory.resolve("cache"));
    var excluded = new AtomicBoolean();
    shared.onCall =
        () -> {
          CniException e =
              assertThrows(
                  CniException.class, () -> lock.shared("n", Deadline.after(Duration.ZERO)));
          excluded.set(e.code() == 11);
        };
    assertEquals(2, addresses("shared").importReservations(directory));
    assertTrue(excluded.get());
  }

  @Test
  void pluginOfOneHostListsOnly() throws Exception {
    NetworkAddresses addresses = addresses("local");
    assertTrue(addresses.canList());
    assertFalse(addresses.isCluster());
    assertEquals("local", addresses.reports().getFirst().type());
    CniException e = assertThrows(CniException.class, () -> addresses.resume(false));
    assertEquals(7, e.code());
    assertTrue(
        e.getMessage().startsWith("the addresses of network n belong to this host alone: "),
        e::getMessage);
  }

  @Test
  void networkWithoutAnIpamPluginHasNone() throws Exception {
    NetworkAddresses addresses =
        builder().build().network(config("{ \"type\": \"settings\" }")).addresses();
    assertFalse(addresses.canList());
    assertFalse(addresses.isCluster());
    assertTrue(refusal(7, addresses).startsWith("network n has no ipam plugin: "));
    CniException e = assertThrows(CniException.class, () -> addresses.releaseNode("b", true));
    assertEquals(7, e.code());
    assertTrue(e.getMessage().startsWith("network n has no ipam plugin: "), e::getMessage);
  }

  @ParameterizedTest
  @ValueSource(strings = {"settings", "executable", "missing"})
  void pluginsThatCannotListAreRefused(String type) throws Exception {
    Path executable = Files.writeString(directory.resolve("executable"), "#!/bin/sh\nexit 1\n");
    Files.setPosixFilePermissions(executable, PosixFilePermissions.fromString("rwxr-xr-x"));
    String message = refusal(7, addresses(type));
    String expected =
        switch (type) {
          case "settings" -> "the ipam plugin of network n, settings, cannot list its addresses; ";
          case "executable" -> "the ipam plugin of network n, executable, runs as an executable, ";
          default -> "plugin type \"missing\" is not known";
        };
    assertTrue(message.startsWith(expected), message);
  }

  @Test
  void missingPluginBehindTheFirstDoesNotMatter() throws Exception {
    String plugins = chain("shared", "") + ", { \"type\": \"missing\" }";
    NetworkAddresses addresses = builder().build().network(config(plugins)).addresses();
    assertEquals(1, addresses.reports().size());
  }

  @Test
  void wrappersKeepWhatAPluginCanDo() throws Exception {
    NetworkPlugin isolated = IsolatedPlugin.of(shared);
    var origin = new PluginOrigin.Executable(directory);
    for (NetworkPlugin plugin :
        List.of(
            isolated,
            new JfrPlugin(isolated, origin),
            new ObservedPlugin(isolated, (type, verb, succeeded, nanos) -> {}))) {
      assertTrue(plugin.addressRegistry().orElseThrow() instanceof ClusterAddressRegistry);
    }
    AddressRegistry local = IsolatedPlugin.of(new LocalPlugin()).addressRegistry().orElseThrow();
    assertFalse(local instanceof ClusterAddressRegistry);
    assertEquals("local", local.type());
  }
}
