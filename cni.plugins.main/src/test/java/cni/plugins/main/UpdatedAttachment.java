// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.exec.PluginPath;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.ipam.staticip.StaticPlugin;
import cni.testing.HostSnapshot;
import cni.testing.ReferencePlugins;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * An attachment of a container by one plugin, with static addresses, that tests damage, repair and
 * update.
 */
public final class UpdatedAttachment {
  /** An ipam section with one address of each family and no routes. */
  public static final String IPAM =
      ipam("192.0.2.10", "2001:db8::10", "{ \"dst\": \"198.51.100.0/24\" }");

  private final TestHost host;
  private final NetNs container;
  private final UpdatablePlugin plugin;
  private final boolean routesOnly;
  private String config = "";
  private Result result = Result.EMPTY;

  /** Creates an object for a container that is not attached yet. */
  public UpdatedAttachment(TestHost host, NetNs container, UpdatablePlugin plugin) {
    this(host, container, plugin, false);
  }

  /**
   * Creates an object for a container that is not attached yet.
   *
   * @param routesOnly whether the state is that of links, addresses and routes alone, for tests
   *     that are to run on an emulated kernel
   */
  UpdatedAttachment(TestHost host, NetNs container, UpdatablePlugin plugin, boolean routesOnly) {
    this.host = host;
    this.container = container;
    this.plugin = plugin;
    this.routesOnly = routesOnly;
  }

  /**
   * Returns an ipam section with two addresses in the networks of {@link TestHost#outside}, with
   * the gateway there.
   *
   * @param routes in JSON, separated by commas
   */
  public static String ipam(String v4, String v6, String routes) {
    return """
        "ipam": { "type": "static", "routes": [ %s ], "addresses": [
            { "address": "%s/24", "gateway": "192.0.2.2" },
            { "address": "%s/64", "gateway": "2001:db8::2" } ] }
        """
        .formatted(routes, v4, v6);
  }

  /** Attaches the container. {@code keys} are those of the plugin, without type. */
  public Result add(String keys) throws CniException, IOException {
    config = keys;
    result = plugin.add(request(keys, Optional.empty()));
    settle();
    return result;
  }

  /** Waits until no address is tentative, so that the state does not change by itself. */
  private void settle() throws IOException {
    if (routesOnly) {
      return; // has no state of addresses
    }
    for (NetNs netns : List.of(host.netns(), container)) {
      for (int i = 0; i < 60 && hasTentative(netns); i++) {
        try {
          Thread.sleep(50);
        } catch (InterruptedException e) {
          throw new IOException(e);
        }
      }
    }
  }

  private static boolean hasTentative(NetNs netns) throws IOException {
    String tentative = TestBed.run(netns, "ip", "-6", "-o", "addr", "show", "tentative");
    return tentative.lines().anyMatch(line -> !line.contains("NO-CARRIER"));
  }

  private AttachmentRequest request(String keys, Optional<Result> previous) throws CniException {
    String json = "{ \"type\": \"" + plugin.type() + "\", " + keys + " }";
    PluginConfig parsed = PluginConfig.of(new ConfigObject(Json.parse(json, "test"), ""));
    var context =
        new CallContext(
            Optional.of(host.netns().path()), Deadline.none(), type -> new StaticPlugin());
    return new AttachmentRequest(
        parsed.forRequest("n", SpecVersion.V1_1_0, Map.of()),
        TestHost.attachment(container),
        previous,
        context);
  }

  /** Returns the current result. */
  public Result result() {
    return result;
  }

  /** Returns the state of the host and the container. */
  public HostSnapshot state() throws CniException, IOException {
    return routesOnly
        ? HostSnapshot.ofRoutes(host.netns(), container)
        : HostSnapshot.of(host.netns(), container);
  }

  /** Returns a tester of a repair. */
  public UpdateTester repair() throws CniException {
    return new UpdateTester(
        plugin, UpdateRequest.unchanged(request(config, Optional.of(result))), this::state);
  }

  /** Returns a tester of an update to another configuration. */
  public UpdateTester update(String desired) throws CniException {
    Optional<Result> previous = Optional.of(result);
    return new UpdateTester(
        plugin,
        new UpdateRequest(request(config, previous), request(desired, previous)),
        this::state);
  }

  /**
   * Damages the attachment, and requires that CHECK reports it, that a failed repair leaves it, and
   * that a repair restores the state before.
   *
   * @param finding a part of CHECK's message
   * @param command run in {@code where}
   */
  public void requireRepair(String finding, NetNs where, String command)
      throws CniException, IOException {
    settle();
    HostSnapshot before = state();
    TestBed.run(where, "sh", "-c", command);
    Optional<String> message = repair().check();
    assertTrue(message.orElse("").contains(finding), command + ": " + message);
    settle();
    repair().requireUndo();
    repair().apply();
    settle();
    state().requireEqual(before);
    assertEquals(Optional.empty(), repair().check(), command);
  }

  /** Requires that a damage is reported as one that cannot be repaired without an interruption. */
  public void requireUnchangeable(String finding) throws CniException, IOException {
    String message = repair().check().orElse("");
    assertTrue(message.contains(finding), message);
    AssertionError e = assertThrows(AssertionError.class, () -> repair().applyOnly());
    assertTrue(String.valueOf(e.getMessage()).contains("no change removes"), e::getMessage);
  }

  /**
   * Updates the attachment, and requires that a failed update leaves the state before. Afterwards
   * the attachment has the desired configuration.
   */
  public void requireUpdate(String desired) throws CniException, IOException {
    settle();
    if (!update(desired).compare().isEmpty()) { // a key may only change the result
      update(desired).requireUndo();
    }
    result = update(desired).apply();
    config = desired;
    settle();
  }

  /**
   * Requires that the state is that after DEL and ADD with the current configuration, and that the
   * reference plugin accepts it in CHECK and leaves nothing in DEL. The container is detached then.
   *
   * @param left is what DEL leaves, as before the first ADD
   */
  public void requireStateOfFreshAdd(HostSnapshot left) throws CniException, IOException {
    HostSnapshot updated = state().withoutRandomNames();
    Result updatedResult = result;
    detachByReference();
    state().requireEqual(left);
    add(config);
    assertEquals(withoutRandomNames(result), withoutRandomNames(updatedResult));
    state().withoutRandomNames().requireEqual(updated);
    delete();
    state().requireEqual(left);
  }

  private static String withoutRandomNames(Result result) {
    return result
        .toString()
        .replaceAll("veth[0-9a-f]{8}", "veth")
        .replaceAll("([0-9a-f]{2}:){5}[0-9a-f]{2}", "mac");
  }

  private void detachByReference() throws CniException {
    AttachmentRequest request = request(config, Optional.of(result));
    NetworkPlugin reference =
        new PluginPath(List.of(ReferencePlugins.directory()))
            .findPlugin(plugin.type(), (type, line) -> {})
            .orElseThrow();
    reference.check(request);
    try {
      reference.delete(request);
    } catch (CniException e) {
      // 1.9.1 fails at the end, if iptables is installed but lacks the chain of ipMasq
      assertTrue(String.valueOf(e.getMessage()).contains("Chain"), e::toString);
    }
  }

  /** Detaches the container by the plugin. */
  public void delete() throws CniException {
    plugin.delete(request(config, Optional.of(result)));
  }
}
