// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.UpdateRequest;
import cni.exec.ExecutablePlugin;
import cni.exec.PluginPath;
import cni.exec.StderrHandler;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.HostSnapshot;
import cni.testing.ReferencePlugins;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import tools.jackson.databind.JsonNode;

/** An attachment of one container by the bridge plugin alone, for tests of its comparison. */
final class UpdatedBridge {
  private static final String NETWORK = "n";

  private final TestHost host;
  private final NetNs container;
  private final BridgePlugin plugin = new BridgePlugin();
  private String config = "";
  private Map<String, JsonNode> arguments = Map.of();
  private Optional<Result> result = Optional.empty();
  private UpdateTester.StateReader state = this::snapshot;

  UpdatedBridge(TestHost host, NetNs container) {
    this.host = host;
    this.container = container;
  }

  /** Makes updates compare a part of the state, where reading all of it takes too long. */
  UpdatedBridge withState(UpdateTester.StateReader reader) {
    state = reader;
    return this;
  }

  /** Returns {@link TestHost#DUAL_STACK} with further options, each followed by a comma. */
  static String dualStack(String options) {
    return TestHost.DUAL_STACK.formatted(options);
  }

  /** Adds the attachment. */
  Result add(String newConfig) throws CniException {
    return addAfter(newConfig, Optional.empty());
  }

  /** Adds the attachment with capability arguments, which stay until an update replaces them. */
  Result add(String newConfig, Map<String, JsonNode> newArguments) throws CniException {
    arguments = newArguments;
    return add(newConfig);
  }

  /** Adds the attachment after another plugin of the chain, which made the interface. */
  Result addToExistingInterface(String newConfig) throws CniException, IOException {
    TestBed.connect(host.netns(), "h0", container, "eth0");
    var interfaces =
        List.of(
            new Result.Interface("h0", "", 0, ""),
            new Result.Interface("eth0", "", 0, container.path().toString()));
    return addAfter(newConfig, Optional.of(Result.EMPTY.withInterfaces(interfaces)));
  }

  private Result addAfter(String newConfig, Optional<Result> previous) throws CniException {
    config = newConfig;
    result = previous;
    Result added = plugin.add(request());
    result = Optional.of(added);
    return added;
  }

  /** Adds the attachment by the reference plugin. */
  void addByReference(String newConfig) throws CniException {
    config = newConfig;
    result = Optional.of(reference().add(request()));
  }

  Result result() {
    return result.orElseThrow();
  }

  /** Describes another hardware address of the container's interface, as a later plugin would. */
  void describeMac(String mac) {
    List<Result.Interface> interfaces = new ArrayList<>(result().interfaces());
    interfaces.set(2, DeviceComparison.withMac(interfaces.get(2), mac));
    result = Optional.of(result().withInterfaces(interfaces));
  }

  String port() {
    return result().interfaces().get(1).name();
  }

  private AttachmentRequest request() throws CniException {
    return request(config, arguments);
  }

  private AttachmentRequest request(String text, Map<String, JsonNode> capabilityArgs)
      throws CniException {
    String json = text.replace("@DATA@", host.ipamData().toString());
    PluginConfig parsed =
        PluginConfig.of(new ConfigObject(Json.parse(json, "test"), ""))
            .forRequest(NETWORK, SpecVersion.parse("1.1.0"), capabilityArgs);
    return new AttachmentRequest(
        parsed,
        attachment(container).withCapabilityArgs(capabilityArgs),
        result,
        new CallContext(Optional.of(host.netns().path()), Deadline.none(), delegates()));
  }

  private static Delegates delegates() {
    return type ->
        ServiceLoader.load(NetworkPlugin.class).stream()
            .filter(it -> it.type().getPackageName().startsWith("cni.plugins.ipam"))
            .map(ServiceLoader.Provider::get)
            .filter(it -> it.type().equals(type))
            .findFirst()
            .orElseThrow(() -> new CniException(ErrorCode.INVALID_CONFIG, "no plugin " + type));
  }

  HostSnapshot snapshot() throws IOException, CniException {
    return HostSnapshot.of(host.netns(), container);
  }

  UpdateTester repair() throws CniException {
    return tester(UpdateRequest.unchanged(request()));
  }

  UpdateTester update(String newConfig) throws CniException {
    return update(newConfig, arguments);
  }

  UpdateTester update(String newConfig, Map<String, JsonNode> newArguments) throws CniException {
    return tester(new UpdateRequest(request(), request(newConfig, newArguments)));
  }

  private UpdateTester tester(UpdateRequest update) {
    return new UpdateTester(plugin, update, state);
  }

  /** Applies an update, whose configuration and result are current afterwards. */
  Result apply(String newConfig, Map<String, JsonNode> newArguments)
      throws CniException, IOException {
    Result updated = update(newConfig, newArguments).apply();
    config = newConfig;
    arguments = newArguments;
    result = Optional.of(updated);
    return updated;
  }

  Result apply(String newConfig) throws CniException, IOException {
    return apply(newConfig, arguments);
  }

  /** Repairs the attachment, whose result is current afterwards. */
  Result repairAll() throws CniException, IOException {
    Result repaired = repair().apply();
    result = Optional.of(repaired);
    return repaired;
  }

  /**
   * Repairs the attachment, but does not compare with the former result again: the bridge's new
   * hardware address is not in it.
   */
  Result adoptBridge() throws CniException, IOException {
    Result repaired = repair().applyOnly();
    result = Optional.of(repaired);
    return repaired;
  }

  /**
   * Requires that the state is that after an ADD with the present configuration and arguments, on a
   * new bridge. Deletes the attachment and adds it again.
   */
  void requireEqualToFresh() throws Exception {
    Result updated = result();
    HostSnapshot state = withoutUnused(snapshot());
    deleteAll();
    Result fresh = add(config);
    host.awaitAddresses();
    state.requireEqual(withoutUnused(snapshot()));
    assertEquals(withoutMacs(fresh), withoutMacs(updated));
  }

  /**
   * Leaves out tables without rules of the attachment, and the link-local addresses that depend on
   * hardware addresses.
   */
  private static HostSnapshot withoutUnused(HostSnapshot state) {
    return new HostSnapshot(
        state.withoutRandomNames().lines().stream()
            .filter(line -> !line.contains("\"chain\":{") && !line.contains("\"table\":{"))
            .filter(line -> !line.contains("masq_checks") || line.contains("saddr"))
            .filter(line -> !line.contains("224.0.0.0") && !line.contains("ff00::"))
            .filter(line -> !line.contains("bridge fdb"))
            .toList());
  }

  private static Result withoutMacs(Result result) {
    return result.withInterfaces(
        result.interfaces().stream()
            .map(
                it ->
                    new Result.Interface(
                        it.name().replaceFirst("veth.*", "veth"), "", it.mtu(), it.sandbox()))
            .toList());
  }

  void check() throws CniException {
    plugin.check(request());
  }

  void delete() throws CniException {
    plugin.delete(request());
  }

  /** Deletes the attachment, the bridge and all reservations. */
  void deleteAll() throws CniException, IOException {
    delete();
    result = Optional.empty();
    TestBed.run(host.netns(), "ip", "link", "del", "br0");
    TestBed.tryRun(host.netns(), "nft", "flush", "ruleset");
    for (String link : TestBed.linkNames(host.netns(), "veth")) {
      if (!link.equals("up0")) {
        TestBed.tryRun(host.netns(), "ip", "link", "del", link);
      }
    }
    host.deleteReservations(NETWORK);
  }

  void checkByReference() throws CniException {
    reference().check(request());
  }

  void deleteByReference() throws CniException {
    reference().delete(request());
  }

  private static NetworkPlugin reference() {
    Path directory = ReferencePlugins.directory();
    return new ExecutablePlugin(
        "bridge",
        directory.resolve("bridge"),
        new PluginPath(List.of(directory)),
        StderrHandler.to(System.err));
  }
}
