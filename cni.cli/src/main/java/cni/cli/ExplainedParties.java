// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.internal.Suggestions;
import cni.netlink.ffm.netns.NetNs;
import cni.policy.Endpoint;
import cni.policy.Endpoint.NamedPort;
import cni.policy.Party;
import cni.policy.PolicyEvaluator;
import cni.policy.PolicyState;
import cni.policy.PortMatch;
import cni.policy.Protocol;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The arguments of {@code cni policy explain}: who talks to whom, at which port. */
final class ExplainedParties {
  /** An address in brackets, as in URLs, and what follows it. */
  private static final Pattern BRACKETED = Pattern.compile("\\[(.+)](?::(.+))?");

  private static final List<String> HYPOTHETICAL_ADDRESSES = List.of("0.0.0.0", "::");

  private final PolicyState state;
  private final PolicyEvaluator evaluator;
  private final String network;

  /**
   * Creates a parser.
   *
   * @param network the network of containers that are given by labels; empty for none that a policy
   *     names
   */
  ExplainedParties(PolicyState state, PolicyEvaluator evaluator, String network) {
    this.state = state;
    this.evaluator = evaluator;
    this.network = network;
  }

  /** A destination without its port, and the port; the port is empty if there is none. */
  record Destination(String party, String port) {
    static Destination parse(String text) {
      Matcher bracketed = BRACKETED.matcher(text);
      if (bracketed.matches()) {
        String port = bracketed.group(2);
        return new Destination(bracketed.group(1), port == null ? "" : port);
      }
      int colon = text.lastIndexOf(':');
      return colon < 0 || address(text).isPresent()
          ? new Destination(text, "")
          : new Destination(text.substring(0, colon), text.substring(colon + 1));
    }
  }

  private static Optional<InetAddress> address(String text) {
    try {
      return Optional.of(InetAddresses.parse(text));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /**
   * Returns what an argument means, one party for each address.
   *
   * @throws CniException code 4 if it means nothing, or several attachments
   */
  List<Party> parse(String text) throws CniException {
    Optional<InetAddress> address = address(text);
    if (address.isPresent()) {
      return evaluator.partiesOf(address.get());
    }
    if (text.contains("=")) {
      return hypothetical(labels(text));
    }
    Endpoint endpoint = attachment(text);
    List<Party> parties = new ArrayList<>();
    endpoint.addresses().forEach(it -> parties.add(new Party.Container(endpoint, it.address())));
    return parties;
  }

  private static Map<String, String> labels(String text) throws CniException {
    Map<String, String> labels = new TreeMap<>();
    for (String pair : text.split(",", -1)) {
      int equals = pair.indexOf('=');
      if (equals <= 0) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "\"" + pair + "\" of " + text + " is not a label: write KEY=VALUE,KEY=VALUE");
      }
      labels.put(pair.substring(0, equals), pair.substring(equals + 1));
    }
    return labels;
  }

  /** Returns a container that does not exist, with an address of each IP version. */
  private List<Party> hypothetical(Map<String, String> labels) {
    var id = new Endpoint.Id(network, "", "");
    var endpoint = new Endpoint(id, labels, Map.of(), List.of(), "", Optional.empty());
    return HYPOTHETICAL_ADDRESSES.stream()
        .<Party>map(it -> new Party.Container(endpoint, InetAddresses.parse(it)))
        .toList();
  }

  /** Returns whether a party stands for a container that does not exist. */
  static boolean isHypothetical(Party party) {
    return party instanceof Party.Container it && it.endpoint().addresses().isEmpty();
  }

  private Endpoint attachment(String text) throws CniException {
    String[] words = text.split("/", -1);
    List<Endpoint> found =
        state.endpoints().values().stream().filter(it -> isNamed(it.id(), words)).toList();
    if (found.isEmpty() && words.length == 1) {
      found =
          state.endpoints().values().stream()
              .filter(it -> it.id().containerId().startsWith(text))
              .toList();
    }
    if (found.size() == 1) {
      return found.getFirst();
    }
    List<String> names =
        (found.isEmpty() ? state.endpoints().values() : found)
            .stream().map(it -> PolicyText.name(it.id())).sorted().toList();
    throw new CniException(
        ErrorCode.INVALID_PARAMETER,
        found.isEmpty()
            ? text
                + " is no attachment with policies, address or list of labels (a=b): "
                + near(text, names)
            : text + " has several attachments: give one of " + String.join(", ", names));
  }

  private static boolean isNamed(Endpoint.Id id, String[] words) {
    return switch (words.length) {
      case 1 -> isContainer(id, words[0]);
      case 2 -> id.network().equals(words[0]) && isContainer(id, words[1]);
      case 3 ->
          id.network().equals(words[0])
              && isContainer(id, words[1])
              && id.ifname().equals(words[2]);
      default -> false;
    };
  }

  /** Returns whether a word is the id of a container, or the name of the namespace it is from. */
  private static boolean isContainer(Endpoint.Id id, String word) {
    return id.containerId().equals(word)
        || (!word.isEmpty()
            && id.containerId().startsWith(AttachmentOptions.DERIVED_ID_PREFIX)
            && id.containerId()
                .equals(AttachmentOptions.cnitoolContainerId(NetNs.RUN_DIRECTORY.resolve(word))));
  }

  /** Suggests an attachment by its whole name, or by as many words as were given. */
  private static String near(String text, List<String> names) {
    if (names.isEmpty()) {
      return "there are no attachments with policies; those to a network have them if its chain"
          + " contains the plugin \"policy\"";
    }
    int words = text.split("/", -1).length;
    Map<String, String> shortened = new TreeMap<>();
    for (String name : names) {
      String[] all = name.split("/", -1);
      shortened.put(words == 1 ? all[1] : words == 2 ? all[0] + "/" + all[1] : name, name);
    }
    return Suggestions.of(text, shortened.keySet());
  }

  /**
   * Returns the number of a port.
   *
   * @param text a number, or the name that the destination has given to a port; empty for 0
   * @throws CniException code 4 if there is no such port
   */
  static int port(String text, Protocol protocol, List<Party> destinations) throws CniException {
    if (text.isEmpty()) {
      return 0;
    }
    if (!protocol.hasPorts()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, protocol + " has no ports: leave out :" + text);
    }
    if (text.matches("\\d{1,5}") && Integer.parseInt(text) <= PortMatch.LAST_PORT) {
      int port = Integer.parseInt(text);
      if (port >= PortMatch.FIRST_PORT) {
        return port;
      }
    }
    Map<String, NamedPort> names = new TreeMap<>();
    for (Party it : destinations) {
      if (it instanceof Party.Container container) {
        names.putAll(container.endpoint().ports());
      }
    }
    NamedPort named = names.get(text);
    if (named != null && named.protocol() == protocol) {
      return named.port();
    }
    throw new CniException(
        ErrorCode.INVALID_PARAMETER,
        text
            + " is no port from 1 to 65535"
            + (names.isEmpty()
                ? ", and the destination has no named ports"
                : ", and no "
                    + protocol
                    + " port of the destination: "
                    + Suggestions.of(text, names.keySet())));
  }
}
