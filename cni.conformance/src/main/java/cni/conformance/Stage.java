package cni.conformance;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.Sysctl;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.NewLink;
import cni.netlink.ffm.route.RtNetlink;
import cni.netlink.ffm.route.Rtnetlink;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;

/**
 * Where one check takes place: a namespace that is the host's, another that is the network outside,
 * one for each container, and a directory. All of it is gone afterwards.
 */
final class Stage implements AutoCloseable {
  private static final String NETWORK = "conformance";

  private final Subject subject;
  private final Setting setting;
  private final SpecVersion version;
  private final String prefix =
      "cni-kit-%06x-".formatted(ThreadLocalRandom.current().nextInt(1 << 24));
  private final Path directory;
  private final List<Path> pluginPath;
  private final List<NetNs> namespaces = new ArrayList<>();

  /** The names of all that there ever were. */
  private final List<String> names = new ArrayList<>();

  private final NetNs host;
  private int containers;

  /**
   * Sets it up.
   *
   * @param version that is spoken
   * @param pluginPath where delegates are
   */
  Stage(Subject subject, Setting setting, SpecVersion version, List<Path> pluginPath)
      throws IOException {
    this.subject = subject;
    this.setting = setting;
    this.version = version;
    this.directory = Files.createTempDirectory(prefix);
    this.pluginPath = new ArrayList<>(pluginPath);
    this.pluginPath.addFirst(Files.createDirectory(directory.resolve("bin")));
    Files.createDirectory(data());
    this.host = namespace("host");
    try (Rtnetlink routing = Rtnetlink.open(host)) {
      routing.execute(LinkRequests.setUp(1));
      NetNs outside = namespace("outside");
      for (String device : setting.devices()) {
        NewLink peer = NewLink.peer(device).in(outside);
        routing.execute(NewLink.veth(device, peer).up().request());
        try (Rtnetlink beyond = Rtnetlink.open(outside)) {
          beyond.execute(LinkRequests.setUp(beyond.links(device).getFirst().index()));
        }
      }
    }
  }

  private NetNs namespace(String role) throws IOException {
    NetNs netns = NetNs.create(prefix + role);
    namespaces.add(netns);
    names.add(prefix + role);
    // Nobody else is on this stage: looking for somebody with the same address takes two seconds.
    netns.<Boolean, IOException>call(
        () -> {
          Sysctl.KERNEL.ensure("net/ipv6/conf/default/accept_dad", "0");
          return true;
        });
    return netns;
  }

  Setting setting() {
    return setting;
  }

  SpecVersion version() {
    return version;
  }

  NetNs host() {
    return host;
  }

  /** What the configuration calls {@code @DIR@}. */
  Path data() {
    return directory.resolve("data");
  }

  /** Where an executable goes that is to be found as a delegate. */
  Path bin() {
    return directory.resolve("bin");
  }

  /** Everything on the host's side that a plugin may change. */
  State hostState() throws IOException {
    return State.of(host).plus(State.of(data()));
  }

  /** The namespaces that belong to it, to find processes in them. */
  List<NetNs> namespaces() {
    return List.copyOf(namespaces);
  }

  /**
   * A container that is to be attached.
   *
   * @param netns its namespace
   * @param ifName the name of its interface
   * @param previous the result of the plugin before, for one that is chained
   */
  record Container(String id, NetNs netns, String ifName, Optional<ObjectNode> previous) {
    Container named(String otherIfName) {
      return new Container(id, netns, otherIfName, previous);
    }
  }

  /** Makes one; for a chained plugin with the interface that another plugin has made before. */
  Container container() throws IOException {
    int number = containers++;
    NetNs netns = namespace("c" + number);
    Optional<ObjectNode> previous =
        setting.followsAnother() ? Optional.of(connect(netns, number)) : Optional.empty();
    return new Container(prefix + "c" + number, netns, setting.ifName(), previous);
  }

  private ObjectNode connect(NetNs netns, int number) throws IOException {
    String hostEnd = "kit" + number;
    String v4 = "10.76.0." + (2 + number) + "/24";
    String v6 = "fd76::" + Integer.toHexString(2 + number) + "/64";
    try (Rtnetlink routing = Rtnetlink.open(host);
        Rtnetlink inside = Rtnetlink.open(netns)) {
      NewLink peer = NewLink.peer(setting.ifName()).in(netns);
      routing.execute(NewLink.veth(hostEnd, peer).up().request());
      Link link = inside.links(setting.ifName()).getFirst();
      for (String text : List.of(v4, v6)) {
        Cidr address = Cidr.parse(text);
        inside.execute(
            new InterfaceAddress(
                    link.index(),
                    address.address(),
                    address.prefix(),
                    address.isV4() ? 0 : RtNetlink.IFA_F_NODAD)
                .addRequest());
      }
      inside.execute(List.of(LinkRequests.setUp(1), LinkRequests.setUp(link.index())));
      String json =
          """
          { "cniVersion": "%s",
            "interfaces": [ { "name": "%s", "mac": "%s" },
                            { "name": "%s", "mac": "%s", "sandbox": "%s" } ],
            "ips": [ { %s "address": "%s", "gateway": "10.76.0.1", "interface": 1 },
                     { %s "address": "%s", "gateway": "fd76::1", "interface": 1 } ],
            "routes": [], "dns": { "nameservers": [ "192.0.2.53" ], "domain": "kit.test" } }
          """
              .formatted(
                  version,
                  hostEnd,
                  routing.links(hostEnd).getFirst().mac(),
                  setting.ifName(),
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
  Request request(Verb verb, Container container, Optional<ObjectNode> result) {
    Map<String, String> environment = new TreeMap<>(networkEnvironment());
    environment.put("CNI_CONTAINERID", container.id());
    environment.put("CNI_NETNS", container.netns().path().toString());
    environment.put("CNI_IFNAME", container.ifName());
    environment.put("CNI_ARGS", setting.args());
    ObjectNode config = config();
    if (!setting.runtimeConfig().isEmpty()) {
      config.set("runtimeConfig", setting.runtimeConfig());
    }
    Optional<ObjectNode> previous = verb == Verb.ADD ? container.previous() : result;
    previous.ifPresent(it -> config.set("prevResult", it));
    return Request.of(verb, environment, config);
  }

  /** A request about the network as a whole. */
  Request request(Verb verb) {
    return Request.of(verb, networkEnvironment(), config());
  }

  private Map<String, String> networkEnvironment() {
    return Map.of("CNI_PATH", String.join(":", pluginPath.stream().map(Path::toString).toList()));
  }

  private ObjectNode config() {
    String text = setting.config().toString().replace("@DIR@", data().toString());
    try {
      ObjectNode config = Json.parse(text, "the plugin's configuration");
      config.remove("capabilities");
      return config.put("cniVersion", version.toString()).put("name", NETWORK);
    } catch (CniException e) {
      throw new IllegalStateException(e);
    }
  }

  Subject.Answer call(Request request) throws CniException {
    return subject.call(request.environment(), request.bytes(), host.path());
  }

  /** Makes an executable script. */
  void script(String name, String text) throws IOException {
    Path file = bin().resolve(name);
    Files.writeString(file, "#!/bin/sh\n" + text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /**
   * Has the plugin take back what it did to a container, as far as it can.
   *
   * @throws CniException code 999 if it could not be called
   */
  void cleanUp(Container container, Optional<ObjectNode> result) throws CniException {
    call(request(Verb.DEL, container, result.or(container::previous)));
  }

  /** Removes a container's namespace; with it goes what the kit has connected it by, at once. */
  void end(Container container) throws IOException {
    if (container.previous().isPresent()) {
      String port = container.previous().get().at("/interfaces/0/name").asString("");
      try (Rtnetlink routing = Rtnetlink.open(host)) {
        routing.executeUnless(LinkRequests.delete(port), Errno.ENODEV);
      }
    }
    NetNs.delete(String.valueOf(container.netns().path().getFileName()));
    container.netns().close();
    namespaces.remove(container.netns());
  }

  @Override
  public void close() throws IOException {
    for (String name : names) {
      NetNs.delete(name); // a plugin may have made a file in place of one that was gone
    }
    namespaces.forEach(NetNs::close);
    try (Stream<Path> files = Files.walk(directory)) {
      files.sorted(Comparator.reverseOrder()).forEach(Stage::delete);
    }
  }

  private static void delete(Path file) {
    try {
      Files.delete(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The error for a machine on which nothing can be examined. */
  static CniException notPossible(IOException e) {
    return new CniException(
        ErrorCode.IO_FAILURE,
        "namespaces for the examination cannot be made (this needs root): " + e.getMessage(),
        e);
  }
}
