// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.BandwidthLimit;
import cni.api.Capability;
import cni.api.CapabilityArgs;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.PortMapping;
import cni.api.TransportProtocol;
import cni.netlink.ffm.route.Mac;
import cni.runtime.Network;
import java.net.InetAddress;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import tools.jackson.databind.node.ObjectNode;

/** The options for the well-known capability arguments, in the form that people type. */
final class CapabilityOptions {
  private final OptionSpec publish =
      Subcommand.listOption("-p", "--publish")
          .paramLabel("PORT:PORT")
          .description(
              "Publish a port: the host's, then the container's, such as 8080:80, 5353:53/udp,"
                  + " 127.0.0.1:8080:80 or 8000-8010:8000-8010; may be repeated, for at most "
                  + PortMapping.MAX_PER_ATTACHMENT
                  + " ports.")
          .build();

  private final OptionSpec bandwidth =
      OptionSpec.builder("--bandwidth")
          .type(String.class)
          .paramLabel("RATE")
          .description(
              "Limit what the container receives and sends, in bit/s, such as 10M or"
                  + " in=10M,out=5M,burst=1M.")
          .build();

  private final OptionSpec addresses =
      Subcommand.listOption("--ip")
          .paramLabel("ADDRESS")
          .description("Request an address, such as 10.1.0.5 or 10.1.0.5/16; may be repeated.")
          .build();

  private final OptionSpec mac =
      OptionSpec.builder("--mac")
          .type(String.class)
          .paramLabel("ADDRESS")
          .description("Request a hardware address, such as 02:00:00:00:00:05.")
          .build();

  private final OptionSpec nameServers =
      Subcommand.listOption("--dns")
          .paramLabel("ADDRESS")
          .description("Name server of the container, such as 10.1.0.1; may be repeated.")
          .build();

  private final OptionSpec searchDomains =
      Subcommand.listOption("--dns-search")
          .paramLabel("DOMAIN")
          .description("Search domain of the container, such as example.com; may be repeated.")
          .build();

  private final OptionSpec labels =
      Subcommand.listOption("-l", "--label")
          .paramLabel("KEY=VALUE")
          .description("Label of the container for policies, such as app=web; may be repeated.")
          .build();

  private final OptionSpec namedPorts =
      Subcommand.listOption("--named-port")
          .paramLabel("NAME=PORT")
          .description(
              "Name of a port of the container for policies, such as http=8080 or dns=53/udp; may be"
                  + " repeated.")
          .build();

  private final List<OptionSpec> options =
      List.of(publish, bandwidth, addresses, mac, nameServers, searchDomains, labels, namedPorts);

  private final CommandSpec command;

  /** Adds the options to a command. */
  CapabilityOptions(CommandSpec command) {
    this.command = command;
    options.forEach(command::addOption);
  }

  /**
   * Returns the arguments that the options give.
   *
   * @throws ParameterException if a value is malformed
   */
  CapabilityArgs args() {
    // The usual case: links none of the lambdas below, which would delay every "cni add".
    return isAnyGiven() ? read() : CapabilityArgs.NONE;
  }

  private boolean isAnyGiven() {
    ParseResult parsed = command.commandLine().getParseResult();
    for (OptionSpec option : options) {
      if (parsed.hasMatchedOption(option)) {
        return true;
      }
    }
    return false;
  }

  private CapabilityArgs read() {
    CapabilityArgs.Builder args = CapabilityArgs.builder();
    Set<HostSide> published = new HashSet<>();
    Map<String, String> given = new HashMap<>();
    read(publish, text -> addPorts(args, text, published));
    read(bandwidth, text -> args.bandwidth(BandwidthLimit.parse(text)));
    read(addresses, text -> addAddress(args, text));
    read(mac, text -> args.mac(Mac.format(Mac.parse(text))));
    read(nameServers, text -> args.dnsServer(InetAddresses.parse(text)));
    read(searchDomains, args::dnsSearch);
    read(labels, text -> addLabel(args, text, given));
    read(namedPorts, text -> addNamedPort(args, text, given));
    return args.build();
  }

  private void read(OptionSpec option, Consumer<String> reader) {
    if (option.isMultiValue()) {
      option.<List<String>>getValue().forEach(text -> read(option, text, reader));
      return;
    }
    @Nullable String text = option.getValue();
    if (text != null) {
      read(option, text, reader);
    }
  }

  private void read(OptionSpec option, String text, Consumer<String> reader) {
    try {
      reader.accept(text);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(
          command.commandLine(),
          "%s %s %s".formatted(option.longestName(), Json.quote(text), e.getMessage()),
          option,
          text);
    }
  }

  /** The host's side of a published port; an absent address is not the same as any other. */
  private record HostSide(int port, TransportProtocol protocol, Optional<InetAddress> address) {}

  private static void addPorts(CapabilityArgs.Builder args, String text, Set<HostSide> published) {
    List<PortMapping> mappings = PortMapping.parse(text);
    for (PortMapping it : mappings) {
      if (!published.add(new HostSide(it.hostPort(), it.protocol(), it.hostIp()))) {
        throw new IllegalArgumentException(
            "publishes host port %d/%s, which another --publish has: choose another host port"
                .formatted(it.hostPort(), it.protocol()));
      }
    }
    if (published.size() > PortMapping.MAX_PER_ATTACHMENT) {
      throw new IllegalArgumentException(
          "makes %d published ports; an attachment can have at most %d"
              .formatted(published.size(), PortMapping.MAX_PER_ATTACHMENT));
    }
    args.portMappings(mappings);
  }

  private static void addAddress(CapabilityArgs.Builder args, String text) {
    if (text.indexOf('/') < 0) {
      args.ip(InetAddresses.parse(text));
    } else {
      args.ip(Cidr.parse(text));
    }
  }

  private static void addLabel(
      CapabilityArgs.Builder args, String text, Map<String, String> given) {
    int equals = text.indexOf('=');
    if (equals <= 0) {
      throw new IllegalArgumentException("must be KEY=VALUE, such as app=web");
    }
    String value = text.substring(equals + 1);
    requireSingle("label " + text.substring(0, equals), value, given);
    args.label(text.substring(0, equals), value);
  }

  private static void addNamedPort(
      CapabilityArgs.Builder args, String text, Map<String, String> given) {
    int equals = text.indexOf('=');
    if (equals <= 0) {
      throw new IllegalArgumentException("must be NAME=PORT, such as http=8080 or dns=53/udp");
    }
    String port = text.substring(equals + 1);
    requireSingle("port " + text.substring(0, equals), port, given);
    args.namedPort(text.substring(0, equals), port);
  }

  private static void requireSingle(String name, String value, Map<String, String> given) {
    @Nullable String before = given.putIfAbsent(name, value);
    if (before != null && !before.equals(value)) {
      throw new IllegalArgumentException(
          "gives %s another value than %s: keep one of them".formatted(name, Json.quote(before)));
    }
  }

  /**
   * Parses capability arguments in JSON: an object by capability.
   *
   * @param source the option or variable that has them, for messages
   * @throws CniException code 6 if it is not an object, code 7 if a key is repeated
   */
  static CapabilityArgs parseJson(String text, String source) throws CniException {
    ObjectNode json = Json.parse(text, source);
    new ConfigObject(json, source).requireDistinctKeys();
    CapabilityArgs.Builder args = CapabilityArgs.builder();
    json.properties().forEach(entry -> args.put(entry.getKey(), entry.getValue()));
    return args.build();
  }

  /** Returns an attachment with further arguments, which replace those of the same capability. */
  static Attachment addTo(Attachment attachment, CapabilityArgs args) {
    return args.isEmpty()
        ? attachment
        : attachment.withCapabilityArgs(CapabilityArgs.of(attachment.capabilityArgs()).with(args));
  }

  /**
   * Returns an attachment whose arguments come from CAP_ARGS without those of well-known
   * capabilities that the network does not declare: the variable may be set for a whole session,
   * and cnitool passes each network what it declares. Misspelt ones stay, for ADD to refuse.
   */
  static Attachment ofEnvironment(Attachment attachment, Network network) throws CniException {
    if (attachment.capabilityArgs().isEmpty()) {
      return attachment;
    }
    Set<String> declared = network.capabilities().names();
    Set<String> kept = new HashSet<>();
    for (String name : attachment.capabilityArgs().keySet()) {
      if (declared.contains(name) || Capability.of(name).isEmpty()) {
        kept.add(name);
      }
    }
    return attachment.withCapabilityArgs(CapabilityArgs.of(attachment.capabilityArgs()).only(kept));
  }
}
