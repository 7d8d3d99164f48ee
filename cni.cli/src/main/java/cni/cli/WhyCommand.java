// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.doctor.path.IntegrityCheck;
import cni.doctor.path.PathEnd;
import cni.doctor.path.PathEnds;
import cni.doctor.path.PathFinding;
import cni.doctor.path.PathJson;
import cni.doctor.path.PathQuery;
import cni.doctor.path.PathReport;
import cni.doctor.path.PathText;
import cni.doctor.path.PathTracer;
import cni.doctor.path.ProbeProtocol;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** {@code cni why}. */
final class WhyCommand extends Subcommand {
  private static final int DOES_NOT_ARRIVE = 1;
  private static final int FAILURE = 2;
  private static final int MAX_PACKET = 65535;
  private static final String LOCALHOST = "localhost";

  private final OptionSpec protocol =
      OptionSpec.builder("-p", "--protocol")
          .type(String.class)
          .initialValue("")
          .completionCandidates(List.of("tcp", "udp", "icmp"))
          .paramLabel("PROTOCOL")
          .description("tcp, udp or icmp; default: tcp with a port, icmp without.")
          .build();

  private final OptionSpec size =
      OptionSpec.builder("--size")
          .type(Integer.class)
          .paramLabel("BYTES")
          .description(
              "Length of the IP packet with its headers, sent unfragmented, over udp or icmp; at"
                  + " least 40 over IPv4 and 60 over IPv6.")
          .build();

  private final OptionSpec noProbe =
      OptionSpec.builder("--no-probe", "--dry-run")
          .type(boolean.class)
          .initialValue(false)
          .description("Send nothing and change nothing: do not evaluate filter rules.")
          .build();

  private final OptionSpec ipv4 = flag("-4", "Only IPv4.");
  private final OptionSpec ipv6 = flag("-6", "Only IPv6.");
  private final OptionSpec json = flag("--json", "Print JSON.");

  private final OptionSpec cache =
      pathOption("--cache")
          .defaultValue(Cni.DEFAULT_CACHE.toString())
          .paramLabel("DIR")
          .description("Directory of cached results; default: ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec hostNamespace = HostOptions.hostNamespaceOption();

  private final PositionalParamSpec source =
      requiredParameter(0, "SOURCE")
          .description(
              "Who sends: a container's id or its beginning, NETWORK/CONTAINER, the name or path of"
                  + " a network namespace, host, or an address.")
          .build();

  private final PositionalParamSpec destination =
      requiredParameter(1, "DESTINATION[:PORT]")
          .description(
              "Who should receive: as SOURCE, or localhost for SOURCE itself; [fd00::1]:80 for IPv6.")
          .build();

  WhyCommand() {
    super(
        "Explain why a packet does or does not arrive.",
        "Sends a packet and traces it through filter rules; then follows its path through routes,"
            + " interfaces and bridges, by the kernel's own answers. The rules that mark the packet"
            + " for the trace are removed by the kernel when the command ends.");
    List.of(protocol, size, noProbe, ipv4, ipv6, json, cache, hostNamespace)
        .forEach(spec()::addOption);
    spec().addPositional(source).addPositional(destination);
    spec()
        .usageMessage()
        .footerHeading("%nExit status:%n")
        .footer(
            "  0  it arrives, even if no program listens there and the connection is refused:",
            "     the first line says so, and \"cause\" of --json is no-listener",
            "  1  it does not arrive, or no answer comes back",
            "  2  invalid arguments, or the path cannot be examined",
            "",
            "Examples:",
            "  cni why blue green:80",
            "  cni why -p udp mynet/blue 10.1.0.3:53",
            "  cni why host localhost:8080",
            "  cni why host '[fd00::2]:443'",
            "  cni why -p icmp --size 1500 blue 192.0.2.7");
  }

  /** A destination without its port, and the port, 0 for none. */
  private record Target(String name, int port) {
    static Target parse(String text) throws CniException {
      var parts = ExplainedParties.Destination.parse(text);
      if (parts.port().isEmpty()) {
        return new Target(parts.party(), 0);
      }
      boolean isNumber = parts.port().matches("\\d{1,5}");
      int port = isNumber ? Integer.parseInt(parts.port()) : 0;
      if (port < 1 || port > 65535) {
        throw invalid(text + ": the port " + parts.port() + " is no number from 1 to 65535");
      }
      return new Target(parts.party(), port);
    }
  }

  private static CniException invalid(String message) {
    return new CniException(ErrorCode.INVALID_PARAMETER, message);
  }

  @Override
  public Integer call() {
    try {
      return explain();
    } catch (CniException e) {
      int _ = ErrorReporter.report(e);
      return FAILURE;
    }
  }

  private int explain() throws CniException {
    Optional<Path> host = HostOptions.hostNamespace(hostNamespace);
    CniBuilder builder = Cni.builder().cache(cache.getValue());
    host.ifPresent(builder::hostNamespace);
    List<PathReport> reports = new ArrayList<>();
    try (Cni cni = Invocation.open(builder)) {
      List<CachedAttachment> attachments = cni.attachments();
      var tracer = new PathTracer(host, attachments, IntegrityCheck.of(cni));
      for (PathQuery query : queries(new PathEnds(host, attachments, NamespacePaths::resolve))) {
        reports.add(completed(tracer.trace(query)));
      }
    }
    print(reports);
    return reports.stream().allMatch(it -> it.fate().isGood()) ? 0 : DOES_NOT_ARRIVE;
  }

  /** Returns a report whose remedy can be pasted. */
  private PathReport completed(PathReport report) {
    var suggested = SuggestedCommand.of(spec());
    return new PathReport(
        report.query(),
        report.sourceAddress(),
        report.fate(),
        report
            .finding()
            .map(it -> new PathFinding(it.cause(), it.text(), suggested.complete(it.remedy()))),
        report.steps(),
        report.notes());
  }

  private List<PathQuery> queries(PathEnds ends) throws CniException {
    Target target = Target.parse(destination.getValue());
    ProbeProtocol asked = protocol(target);
    PathEnd from = ends.parse(source.getValue());
    boolean isLoopback = isLoopback(target.name());
    if (isLoopback && from instanceof PathEnd.Outside) {
      throw invalid(target.name() + " is SOURCE itself, from which nothing can be sent");
    }
    PathEnd to = isLoopback ? from : ends.parse(target.name());
    List<InetAddress> addresses =
        isLoopback ? loopback(target.name()) : addresses(ends, from, to, target.name());
    boolean onlyV4 = ipv4.getValue();
    boolean onlyV6 = ipv6.getValue();
    addresses.removeIf(it -> it instanceof Inet4Address ? onlyV6 : onlyV4);
    Optional<InetAddress> fromAddress = ends.sourceAddress(source.getValue());
    fromAddress.ifPresent(
        own ->
            addresses.removeIf(
                it -> (own instanceof Inet4Address) != (it instanceof Inet4Address)));
    if (addresses.isEmpty()) {
      throw invalid(target.name() + " has no address of this IP version");
    }
    int bytes = size(asked, addresses);
    boolean probe = !noProbe.<Boolean>getValue();
    return addresses.stream()
        .map(it -> new PathQuery(from, to, it, asked, target.port(), bytes, probe, fromAddress))
        .toList();
  }

  private static List<InetAddress> addresses(PathEnds ends, PathEnd from, PathEnd to, String name)
      throws CniException {
    return new ArrayList<>(
        to instanceof PathEnd.Host && !name.equals(to.name())
            ? List.of(InetAddress.ofLiteral(name)) // one of the host's addresses
            : ends.addresses(from, to));
  }

  private static boolean isLoopback(String name) {
    return name.equals(LOCALHOST) || name.equals("::1") || name.matches("127(\\.\\d{1,3}){3}");
  }

  /** Returns the loopback address that is meant; for localhost that of IPv4, unless -6 is given. */
  private List<InetAddress> loopback(String name) {
    boolean onlyV6 = ipv6.getValue();
    String literal = name.equals(LOCALHOST) ? (onlyV6 ? "::1" : "127.0.0.1") : name;
    return new ArrayList<>(List.of(InetAddress.ofLiteral(literal)));
  }

  private ProbeProtocol protocol(Target target) throws CniException {
    String text = protocol.<String>getValue().toUpperCase(Locale.ROOT);
    ProbeProtocol asked =
        switch (text) {
          case "" -> target.port() == 0 ? ProbeProtocol.ICMP : ProbeProtocol.TCP;
          case "TCP" -> ProbeProtocol.TCP;
          case "UDP" -> ProbeProtocol.UDP;
          case "ICMP" -> ProbeProtocol.ICMP;
          default ->
              throw invalid("-p " + protocol.<String>getValue() + " is none of tcp, udp, icmp");
        };
    if (asked.hasPorts() && target.port() == 0) {
      throw invalid(target.name() + " needs a port: write " + target.name() + ":PORT, or -p icmp");
    }
    if (!asked.hasPorts() && target.port() != 0) {
      throw invalid("icmp has no ports: leave out :" + target.port());
    }
    return asked;
  }

  /** Returns the length of the packets; 0 if it is not given. */
  private int size(ProbeProtocol asked, List<InetAddress> addresses) throws CniException {
    @Nullable Integer bytes = size.getValue();
    if (bytes == null) {
      return 0;
    }
    int least = addresses.stream().mapToInt(PathQuery::minSize).max().orElseThrow();
    if (bytes < least || bytes > MAX_PACKET) {
      throw invalid(
          "--size %d is not between %d, the headers and what the packet is recognized by, and %d"
              .formatted(bytes, least, MAX_PACKET));
    }
    if (asked == ProbeProtocol.TCP) {
      throw invalid("--size needs -p udp or -p icmp: a TCP connection begins with short packets");
    }
    return bytes;
  }

  private void print(List<PathReport> reports) {
    boolean asJson = json.getValue();
    if (asJson) {
      ArrayNode array = JsonNodeFactory.instance.arrayNode();
      reports.forEach(it -> array.add(PathJson.of(it)));
      Json.print(array, System.out);
      return;
    }
    for (int i = 0; i < reports.size(); i++) {
      if (i > 0) {
        System.out.println();
      }
      PathText.lines(reports.get(i)).forEach(System.out::println);
    }
  }
}
