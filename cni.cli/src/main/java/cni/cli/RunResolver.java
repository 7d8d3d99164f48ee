// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Capability;
import cni.api.CapabilityArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Dns;
import cni.api.Json;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * The resolver settings of a command that {@code cni run} starts: those of the options, unless a
 * plugin takes them, and those of the results. CNI leaves it to the runtime to apply them.
 */
final class RunResolver {
  /** The file that they replace in the command's mount namespace. */
  static final Path RESOLV_CONF = Path.of("/etc/resolv.conf");

  private final List<String> nameservers = new ArrayList<>();
  private final List<String> search = new ArrayList<>();
  private final List<String> options = new ArrayList<>();
  private final boolean isGiven;

  private RunResolver(Dns given) {
    addAll(given);
    isGiven = !given.isEmpty();
  }

  /**
   * Creates the settings of the capability argument {@code dns} that no plugin takes.
   *
   * @throws CniException code 7 if it has another form
   */
  static RunResolver of(CapabilityArgs args, List<Network> networks) throws CniException {
    @Nullable JsonNode dns = args.toMap().get(Capability.DNS.key());
    if (dns == null || isTaken(networks)) {
      return new RunResolver(Dns.NONE);
    }
    var view = new ConfigObject(Json.object().set(Capability.DNS.key(), dns), "");
    ConfigObject section = view.object(Capability.DNS.key()).orElseThrow();
    return new RunResolver(
        new Dns(section.texts("servers"), "", section.texts("searches"), section.texts("options")));
  }

  /** Returns the arguments without {@code dns} if no plugin takes it. */
  static CapabilityArgs withoutUntaken(CapabilityArgs args, List<Network> networks)
      throws CniException {
    Set<String> kept = new HashSet<>(args.names());
    if (!isTaken(networks)) {
      kept.remove(Capability.DNS.key());
    }
    return args.only(kept);
  }

  private static boolean isTaken(List<Network> networks) throws CniException {
    for (Network network : networks) {
      if (network.capabilities().names().contains(Capability.DNS.key())) {
        return true;
      }
    }
    return false;
  }

  /** Adds the settings of a result, unless the options have given some. */
  void add(Dns result) {
    if (!isGiven) {
      addAll(result);
    }
  }

  private void addAll(Dns dns) {
    addNew(dns.nameservers(), nameservers);
    if (!dns.domain().isEmpty()) {
      addNew(List.of(dns.domain()), search);
    }
    addNew(dns.search(), search);
    addNew(dns.options(), options);
  }

  /** Adds values that are not there yet, without those that would end or extend their line. */
  private static void addNew(List<String> values, List<String> to) {
    values.stream()
        .filter(it -> !it.isEmpty() && it.chars().noneMatch(c -> c <= ' ' || c == '\u007f'))
        .filter(it -> !to.contains(it))
        .forEach(to::add);
  }

  /** Returns whether there are none: the command then uses the file of the host. */
  boolean isEmpty() {
    return nameservers.isEmpty() && search.isEmpty() && options.isEmpty();
  }

  /** Returns the settings in the form of resolv.conf(5). */
  @Override
  public String toString() {
    var text = new StringBuilder();
    if (!search.isEmpty()) {
      text.append("search ").append(String.join(" ", search)).append('\n');
    }
    nameservers.forEach(it -> text.append("nameserver ").append(it).append('\n'));
    if (!options.isEmpty()) {
      text.append("options ").append(String.join(" ", options)).append('\n');
    }
    return text.toString();
  }

  /** Writes the settings to a new temporary file that every user can read. */
  Path write() throws IOException {
    Path file = Files.createTempFile("cni-run-", ".resolv.conf");
    Files.writeString(file, toString(), StandardCharsets.UTF_8);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
    return file;
  }
}
