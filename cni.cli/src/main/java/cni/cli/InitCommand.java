// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.Names;
import cni.api.NetworkConfig;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.policy.PolicyDirectories;
import cni.runtime.Cni;
import cni.runtime.ConfigProblem;
import cni.runtime.ValidationReport;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParameterException;

/** {@code cni init}: writes a first network configuration. */
final class InitCommand extends Subcommand {
  private static final String BRIDGE_PREFIX = "cni-";
  private static final int INTERFACE_NAME_MAX = 15;

  /** The MTU without which an interface has no IPv6, RFC 8200, section 5. */
  private static final int MIN_MTU = 1280;

  private static final int MAX_MTU = 65_535;

  private final HostOptions host = new HostOptions(spec());

  private final PositionalParamSpec network =
      requiredParameter(0, "NETWORK").description("Name of the new network.").build();

  private final OptionSpec subnets =
      listOption("--subnet")
          .paramLabel("SUBNET")
          .description(
              "Subnet of the containers, such as 10.1.0.0/24 or fd00:1::/64; may be repeated;"
                  + " default: a private IPv4 and IPv6 subnet that this host does not use.")
          .build();

  private final OptionSpec noIpv6 = flag("--no-ipv6", "Choose no IPv6 subnet.");

  private final OptionSpec bridge =
      OptionSpec.builder("--bridge")
          .type(String.class)
          .paramLabel("NAME")
          .description("Name of the bridge; default: cni-NETWORK.")
          .build();

  private final OptionSpec mtu =
      OptionSpec.builder("--mtu")
          .type(Integer.class)
          .paramLabel("BYTES")
          .description("MTU of the interfaces; default: that of the kernel.")
          .build();

  private final OptionSpec plugins =
      listOption("--plugins")
          .initialValue(NetworkTemplate.DEFAULT_CHAINED)
          .splitRegex(",")
          .completionCandidates(NetworkTemplate.CHAINED)
          .paramLabel("TYPE")
          .description(
              "Plugins behind bridge, of portmap, firewall, bandwidth, tuning and policy; or none;"
                  + " default: portmap,firewall,bandwidth,tuning.")
          .build();

  private final OptionSpec force =
      flag("--force", "Replace the configuration of a network of this name.");

  private final OptionSpec dryRun =
      flag("--dry-run", "Print the configuration instead of writing it.");

  private final OptionSpec yes = flag("--yes", "Ask nothing on a terminal.");

  InitCommand() {
    super(
        "Write the configuration of a new network, ready to use.",
        "Containers of the network reach each other and, with the host's addresses, what the host"
            + " reaches; their ports can be published and their bandwidth limited. On a terminal,"
            + " without options, asks what to write.");
    spec().addPositional(network);
    List.of(subnets, noIpv6, bridge, mtu, plugins, force, dryRun, yes).forEach(spec()::addOption);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer(
            "  cni init mynet --yes && cni run -n mynet -- sh",
            "  cni init mynet --subnet 10.1.0.0/24 --subnet fd00:1::/64 --dry-run");
  }

  @Override
  public Integer call() throws CniException {
    try (Cni cni = host.open()) {
      return write(cni);
    } catch (IOException e) {
      throw new CniException(ErrorCode.IO_FAILURE, IoErrors.describe(e), e);
    }
  }

  private int write(Cni cni) throws CniException, IOException {
    ConfiguredNetworks others = ConfiguredNetworks.read(host.networks());
    String name = Names.requireNetworkName(network.getValue());
    Path file = file(name, others);
    NewNetworkChecks checks = checks(name, others);
    NetworkTemplate template = template(name, others, checks);
    if (asks()) {
      var questions =
          new InitQuestions(
              new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)),
              System.err,
              checks);
      template = questions.ask(template);
      if (!questions.confirm("Write " + file + "?")) {
        return 0;
      }
    }
    byte[] text = (Json.pretty(template.json()) + "\n").getBytes(StandardCharsets.UTF_8);
    requireValid(cni.network(NetworkConfig.parse(text, file.toString())).validate());
    boolean printOnly = dryRun.getValue();
    if (printOnly) {
      Json.print(template.json(), System.out);
      return 0;
    }
    write(file, text);
    printNextSteps(template, file);
    return 0;
  }

  /** Requires that the configuration to write has no errors, such as values of options cause. */
  private void requireValid(ValidationReport report) {
    if (report.hasErrors()) {
      throw wrong(
          "the configuration would not be valid: "
              + report.problems().stream()
                  .map(ConfigProblem::description)
                  .collect(Collectors.joining("; ")));
    }
  }

  /** Returns the file to write: a new one, or with --force that of the network. */
  private Path file(String name, ConfiguredNetworks others) throws CniException {
    Optional<Path> existing = others.file(name);
    if (existing.isEmpty()) {
      String fileName = "%d-%s.conflist".formatted(others.nextNumber(), name);
      return host.networks().resolve(fileName);
    }
    boolean replaces = force.getValue();
    if (!replaces || !existing.get().toString().endsWith(".conflist")) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "network %s exists in %s; choose another name, or %s"
              .formatted(name, existing.get(), replaces ? "remove the file" : "give --force"));
    }
    return existing.get();
  }

  private boolean asks() {
    boolean asksNothing = yes.<Boolean>getValue() || dryRun.<Boolean>getValue();
    boolean hasOptions =
        spec().commandLine().getParseResult().matchedOptions().stream()
            .anyMatch(List.of(subnets, noIpv6, bridge, mtu, plugins)::contains);
    return !asksNothing
        && !hasOptions
        && Terminal.isTerminal(Terminal.Stream.INPUT)
        && Terminal.isTerminal(Terminal.Stream.ERROR);
  }

  private NewNetworkChecks checks(String name, ConfiguredNetworks others) throws IOException {
    List<Cidr> used = new ArrayList<>();
    Map<String, String> links = new HashMap<>();
    boolean replaces = others.file(name).isPresent();
    try (RouteSocket socket = RouteSocket.open(host.hostNamespace())) {
      for (Link it : socket.links()) {
        links.put(it.name(), it.kind());
      }
      if (!replaces) {
        used.addAll(others.subnets());
        addUsedByHost(socket, used);
      }
    }
    return new NewNetworkChecks(new FreeSubnets(used), links);
  }

  private static void addUsedByHost(RouteSocket socket, List<Cidr> used) throws IOException {
    for (InterfaceAddress it : socket.addresses()) {
      used.add(new Cidr(it.address(), it.prefix()));
    }
    for (IpFamily family : IpFamily.values()) {
      for (Route it : socket.routes(family)) {
        used.add(new Cidr(it.destination(), it.prefix()));
      }
    }
  }

  private NetworkTemplate template(String name, ConfiguredNetworks others, NewNetworkChecks checks)
      throws CniException {
    Set<String> links = new HashSet<>(others.bridges());
    if (others.file(name).isEmpty()) {
      links.addAll(checks.linkKinds().keySet());
    }
    return new NetworkTemplate(
        name, bridge(name, links, checks), subnets(others, checks), mtu(), chained());
  }

  private List<Cidr> subnets(ConfiguredNetworks others, NewNetworkChecks checks)
      throws CniException {
    List<Cidr> chosen = new ArrayList<>();
    for (String text : subnets.<List<String>>getValue()) {
      chosen.add(check("--subnet " + text, () -> checks.subnet(text, chosen)));
    }
    if (!chosen.isEmpty()) {
      return chosen;
    }
    FreeSubnets free = checks.free().with(others.subnets());
    chosen.add(
        free.v4()
            .orElseThrow(
                () ->
                    new CniException(
                        ErrorCode.INVALID_PARAMETER,
                        "no private IPv4 subnet is free; give one with --subnet")));
    boolean v4Only = noIpv6.getValue();
    if (!v4Only) {
      chosen.add(free.v6());
    }
    return chosen;
  }

  private <T> T check(String option, Supplier<T> value) {
    try {
      return value.get();
    } catch (IllegalArgumentException e) {
      throw wrong(option + " " + e.getMessage());
    }
  }

  private String bridge(String name, Set<String> links, NewNetworkChecks checks) {
    @Nullable String given = bridge.getValue();
    if (given != null) {
      return check("--bridge " + Json.quote(given), () -> checks.bridge(given));
    }
    String full = BRIDGE_PREFIX + name;
    String proposed = full.substring(0, Math.min(full.length(), INTERFACE_NAME_MAX));
    for (int i = 2; links.contains(proposed); i++) {
      int kept = INTERFACE_NAME_MAX - String.valueOf(i).length();
      proposed = full.substring(0, Math.min(full.length(), kept)) + i;
    }
    return proposed;
  }

  private OptionalInt mtu() {
    @Nullable Integer given = mtu.getValue();
    if (given == null) {
      return OptionalInt.empty();
    }
    if (given < MIN_MTU || given > MAX_MTU) {
      throw wrong("--mtu %d is not from %d to %d".formatted(given, MIN_MTU, MAX_MTU));
    }
    return OptionalInt.of(given);
  }

  private List<String> chained() {
    List<String> given = plugins.getValue();
    if (given.equals(List.of("none"))) {
      return List.of();
    }
    for (String type : given) {
      if (!NetworkTemplate.CHAINED.contains(type)) {
        throw wrong(
            "--plugins %s is none of %s, none"
                .formatted(type, String.join(", ", NetworkTemplate.CHAINED)));
      }
    }
    return given;
  }

  private ParameterException wrong(String message) {
    return new ParameterException(spec().commandLine(), message);
  }

  private static void write(Path file, byte[] text) throws IOException {
    Files.createDirectories(file.toAbsolutePath().getParent());
    Path temporary =
        file.resolveSibling("." + file.getFileName() + "." + ProcessHandle.current().pid());
    AtomicFiles.write(file, temporary, text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
  }

  private void printNextSteps(NetworkTemplate template, Path file) {
    String option =
        host.networks().equals(Cni.DEFAULT_NETWORKS) ? "" : "--networks " + host.networks() + " ";
    System.out.printf(
        """
        Wrote %s: bridge %s, %s.

        Run a command in the network, or attach a namespace to it:
          cni run %s-n %s -- sh
          ip netns add blue && cni add %s%s blue
        """,
        file,
        template.bridge(),
        template.subnets().stream().map(Cidr::toString).collect(Collectors.joining(", ")),
        option,
        template.name(),
        option,
        template.name());
    Path policies = PolicyDirectories.DEFAULT.policies();
    if (template.chained().contains("policy") && !Files.isDirectory(policies)) {
      System.out.printf("%nFirst create the directory of policies:%n  mkdir -p %s%n", policies);
    }
  }
}
