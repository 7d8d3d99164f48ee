package cni.conformance;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.Verb;
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
import tools.jackson.databind.node.ObjectNode;

/**
 * Where one check takes place: a namespace that is the host's, another that is the network outside,
 * one for each container, and a directory. All of it is gone afterwards.
 */
final class CheckHost implements AutoCloseable {
  private static final String NETWORK = "conformance";

  private final PluginUnderTest subject;
  private final SubjectConfig subjectConfig;
  private final SpecVersion version;
  private final List<Path> pluginPath;
  private final TestBed bed = new TestBed("kit");
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
          Sysctl.KERNEL.ensure("net/ipv6/conf/default/accept_dad", "0");
          return true;
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

  /** What the configuration calls {@code @DIR@}. */
  Path dataDirectory() {
    return bed.directory().resolve("data");
  }

  /** Where an executable goes that is to be found as a delegate. */
  Path binDirectory() {
    return bed.directory().resolve("bin");
  }

  /** Everything on the host's side that a plugin may change. */
  NetNsSnapshot hostState() throws IOException {
    return NetNsSnapshot.of(host()).plus(NetNsSnapshot.of(dataDirectory()));
  }

  /** The namespaces that belong to it, to find processes in them. */
  List<NetNs> namespaces() {
    return bed.namespaces();
  }

  /**
   * A container that is to be attached.
   *
   * @param netns its namespace
   * @param interfaceName the name of its interface
   * @param prevResult the result of the plugin before, for one that is chained
   */
  record Container(String id, NetNs netns, String interfaceName, Optional<ObjectNode> prevResult) {
    Container withInterfaceName(String otherIfName) {
      return new Container(id, netns, otherIfName, prevResult);
    }
  }

  /** Makes one; for a chained plugin with the interface that another plugin has made before. */
  Container createContainer() throws IOException {
    int number = containerCount++;
    NetNs netns = createNamespace("c" + number);
    Optional<ObjectNode> previous =
        subjectConfig.needsPrevResult()
            ? Optional.of(connectByVeth(netns, number))
            : Optional.empty();
    return new Container(bed.prefix() + "c" + number, netns, subjectConfig.ifName(), previous);
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

  /** A request as a runtime would make it. */
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
    Optional<ObjectNode> previous = verb == Verb.ADD ? container.prevResult() : result;
    previous.ifPresent(it -> config.set("prevResult", it));
    return ExecRequest.of(verb, environment, config);
  }

  /** A request about the network as a whole. */
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

  /** Makes an executable script. */
  void installScript(String name, String text) throws IOException {
    Path file = binDirectory().resolve(name);
    Files.writeString(file, "#!/bin/sh\n" + text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /**
   * Has the plugin take back what it did to a container, as far as it can.
   *
   * @throws CniException code 999 if it could not be called
   */
  void cleanUp(Container container, Optional<ObjectNode> result) throws CniException {
    call(request(Verb.DEL, container, result.or(container::prevResult)));
  }

  /** Removes a container's namespace; with it goes what the kit has connected it by, at once. */
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

  /** The error for a machine on which nothing can be examined. */
  static CniException setUpFailure(IOException e) {
    return new CniException(
        ErrorCode.IO_FAILURE,
        "namespaces for the examination cannot be made (this needs root): " + e.getMessage(),
        e);
  }
}
