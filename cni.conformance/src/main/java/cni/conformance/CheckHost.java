// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.api.internal.IoErrors;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import cni.testing.NetNsSnapshot;
import cni.testing.TestBed;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;

/**
 * The test bed of one check: network namespaces for the host, the external network and each
 * container, and a temporary directory. All of it is deleted when this is closed.
 */
final class CheckHost implements AutoCloseable {
  private static final String NETWORK = "conformance";

  /** Part of the names of namespaces and directories. */
  static final String LABEL = "conformance";

  private final PluginUnderTest subject;
  private final SubjectConfig subjectConfig;
  private final SpecVersion version;
  private final List<Path> pluginPath;
  private final TestBed bed = new TestBed(LABEL);
  private int containerCount;

  /**
   * Creates the namespaces, the devices and the directories that the subject's configuration needs.
   *
   * @param version the version of the specification that requests have
   * @param pluginPath the directories of delegates
   */
  CheckHost(
      PluginUnderTest subject,
      SubjectConfig subjectConfig,
      SpecVersion version,
      List<Path> pluginPath)
      throws IOException {
    this.subject = subject;
    this.subjectConfig = subjectConfig;
    this.version = version;
    this.pluginPath = new ArrayList<>(pluginPath);
    this.pluginPath.addFirst(Files.createDirectory(binDirectory()));
    Files.createDirectory(dataDirectory());
    disableDad(host());
    NetNs outside = createNamespace("outside");
    for (String device : subjectConfig.devices()) {
      TestBed.connect(host(), device, outside, device);
    }
  }

  private NetNs createNamespace(String role) throws IOException {
    NetNs netns = bed.namespace(role);
    disableDad(netns);
    return netns;
  }

  /** No other host shares a link here; duplicate address detection would take up to two seconds. */
  private static void disableDad(NetNs netns) throws IOException {
    netns.<Boolean, IOException>call(
        () -> {
          return Sysctl.KERNEL.setIfPossible("net/ipv6/conf/default/accept_dad", "0").isEmpty();
        });
  }

  SubjectConfig subjectConfig() {
    return subjectConfig;
  }

  SpecVersion version() {
    return version;
  }

  NetNs host() {
    return bed.netns();
  }

  /** Returns the directory that replaces {@code @DIR@} in the plugin's configuration. */
  Path dataDirectory() {
    return bed.directory().resolve("data");
  }

  /** Returns the first directory of CNI_PATH, for executables that serve as delegates. */
  Path binDirectory() {
    return bed.directory().resolve("bin");
  }

  /** Returns the state of the host's namespace and of the data directory. */
  NetNsSnapshot hostState() throws IOException {
    return NetNsSnapshot.of(host()).plus(NetNsSnapshot.of(dataDirectory()));
  }

  /** Returns all namespaces of this check. */
  List<NetNs> namespaces() {
    return bed.namespaces();
  }

  /**
   * A container to attach.
   *
   * @param id the container's id
   * @param netns the container's network namespace
   * @param interfaceName the name of the interface to create or modify
   * @param prevResult the result of the preceding plugin, for a chained plugin
   */
  record Container(String id, NetNs netns, String interfaceName, Optional<ObjectNode> prevResult) {
    Container withInterfaceName(String otherIfName) {
      return new Container(id, netns, otherIfName, prevResult);
    }
  }

  /** Creates a container; for a chained plugin, with the interface of a preceding plugin. */
  Container createContainer() throws IOException {
    int number = containerCount++;
    NetNs netns = createNamespace("c" + number);
    Optional<ObjectNode> prevResult =
        subjectConfig.needsPrevResult()
            ? Optional.of(connectByVeth(netns, number))
            : Optional.empty();
    return new Container(bed.prefix() + "c" + number, netns, subjectConfig.ifName(), prevResult);
  }

  private ObjectNode connectByVeth(NetNs netns, int number) throws IOException {
    String hostEnd = "kit" + number;
    String v4 = "10.76.0." + (2 + number);
    String v6 = "fd76::" + Integer.toHexString(2 + number);
    TestBed.connect(host(), hostEnd, netns, subjectConfig.ifName());
    TestBed.addAddress(netns, subjectConfig.ifName(), v4, 24);
    TestBed.addAddress(netns, subjectConfig.ifName(), v6, 64);
    try (RouteSocket routing = RouteSocket.open(host());
        RouteSocket inside = RouteSocket.open(netns)) {
      inside.execute(LinkRequests.setUp(1));
      Link link = inside.links(subjectConfig.ifName()).getFirst();
      String json =
          """
          { "cniVersion": "%s",
            "interfaces": [ { "name": "%s", "mac": "%s" },
                            { "name": "%s", "mac": "%s", "sandbox": "%s" } ],
            "ips": [ { %s "address": "%s/24", "gateway": "10.76.0.1", "interface": 1 },
                     { %s "address": "%s/64", "gateway": "fd76::1", "interface": 1 } ],
            "routes": [], "dns": { "nameservers": [ "192.0.2.53" ], "domain": "kit.test" } }
          """
              .formatted(
                  version,
                  hostEnd,
                  routing.links(hostEnd).getFirst().mac(),
                  subjectConfig.ifName(),
                  link.mac(),
                  netns.path(),
                  version.atLeast(SpecVersion.V1_0_0) ? "" : "\"version\": \"4\",",
                  v4,
                  version.atLeast(SpecVersion.V1_0_0) ? "" : "\"version\": \"6\",",
                  v6);
      return Json.parse(json.getBytes(StandardCharsets.UTF_8), "the kit's own result");
    } catch (CniException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Returns a request about a container, as a runtime would make it. */
  ExecRequest request(Verb verb, Container container, Optional<ObjectNode> result) {
    Map<String, String> environment = new TreeMap<>(networkEnvironment());
    environment.put("CNI_CONTAINERID", container.id());
    environment.put("CNI_NETNS", container.netns().path().toString());
    environment.put("CNI_IFNAME", container.interfaceName());
    environment.put("CNI_ARGS", subjectConfig.args());
    ObjectNode config = pluginConfig();
    if (!subjectConfig.runtimeConfig().isEmpty()) {
      config.set("runtimeConfig", subjectConfig.runtimeConfig());
    }
    Optional<ObjectNode> prevResult = verb == Verb.ADD ? container.prevResult() : result;
    prevResult.ifPresent(it -> config.set("prevResult", it));
    return ExecRequest.of(verb, environment, config);
  }

  /** Returns a request about the network as a whole. */
  ExecRequest request(Verb verb) {
    return ExecRequest.of(verb, networkEnvironment(), pluginConfig());
  }

  private Map<String, String> networkEnvironment() {
    return Map.of("CNI_PATH", String.join(":", pluginPath.stream().map(Path::toString).toList()));
  }

  private ObjectNode pluginConfig() {
    String text = subjectConfig.config().toString().replace("@DIR@", dataDirectory().toString());
    try {
      ObjectNode config = Json.parse(text, "the plugin's configuration");
      config.remove("capabilities");
      return config.put("cniVersion", version.toString()).put("name", NETWORK);
    } catch (CniException e) {
      throw new IllegalStateException(e);
    }
  }

  PluginUnderTest.Response call(ExecRequest request) throws CniException {
    return subject.call(request.environment(), request.bytes(), host().path());
  }

  /** Writes an executable shell script to the first directory of CNI_PATH. */
  void installScript(String name, String text) throws IOException {
    Path file = binDirectory().resolve(name);
    Files.writeString(file, "#!/bin/sh\n" + text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** Returns whether no script has been installed. */
  boolean hasNoScripts() throws IOException {
    try (Stream<Path> files = Files.list(binDirectory())) {
      return files.findAny().isEmpty();
    }
  }

  /**
   * Calls the plugin's DEL for a container and ignores its outcome.
   *
   * @throws CniException if the plugin cannot be called
   */
  void cleanUp(Container container, Optional<ObjectNode> result) throws CniException {
    call(request(Verb.DEL, container, result.or(container::prevResult)));
  }

  /** Deletes a container's namespace, and first the veth that the kit connected it by. */
  void deleteContainer(Container container) throws IOException {
    if (container.prevResult().isPresent()) {
      String port = container.prevResult().get().at("/interfaces/0/name").asString("");
      try (RouteSocket routing = RouteSocket.open(host())) {
        routing.executeIgnoring(LinkRequests.delete(port), Errno.ENODEV);
      }
    }
    bed.delete(container.netns());
  }

  @Override
  public void close() throws IOException {
    bed.close();
  }

  /** Returns the error for a machine on which no check can run. */
  static CniException setUpFailure(IOException e) {
    return new CniException(
        ErrorCode.IO_FAILURE,
        "network namespaces cannot be created (this needs root): " + IoErrors.describe(e),
        e);
  }
}
