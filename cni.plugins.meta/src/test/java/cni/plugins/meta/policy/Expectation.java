// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.plugins.meta.policy.Reachability.Probe;
import cni.policy.Protocol;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * What the matrix of a case should be: everything is allowed but what its lines say, of which later
 * ones win.
 *
 * <pre>
 *   * > db: none               nobody reaches db; the host still does
 *   web,api > db: tcp/5432     these reach this port of db, and no other
 *   !web > db v6: +icmp        all but web may ping db over IPv6 too
 * </pre>
 *
 * "*" are all nodes, as a source all but the host, which policies do not restrict.
 */
final class Expectation {
  /** What is sent unless a case names more. */
  private static final List<String> SERVICES = List.of("tcp/80", "tcp/81", "udp/53", "icmp");

  private Expectation() {}

  /**
   * Returns the probes of a case and whether each should arrive.
   *
   * @param services further ones, such as sctp/9000
   */
  static Map<Probe, Boolean> matrix(PolicyWorld world, List<String> services, List<String> lines) {
    Map<Probe, Boolean> matrix = new LinkedHashMap<>();
    Set<String> all = new TreeSet<>(SERVICES);
    all.addAll(services);
    for (var from : world.nodes()) {
      for (var to : world.nodes()) {
        if (world.isContainer(from.name()) || world.isContainer(to.name())) {
          add(from.name(), to.name(), all, matrix);
        }
      }
    }
    for (String line : lines) {
      new Line(line).change(matrix);
    }
    return matrix;
  }

  private static void add(
      String from, String to, Set<String> services, Map<Probe, Boolean> matrix) {
    for (String service : services) {
      boolean isFrame = !service.startsWith("tcp") && !service.startsWith("udp");
      boolean isHost = from.equals(PolicyWorld.HOST) || to.equals(PolicyWorld.HOST);
      boolean isUnseen = isHost && isFrame && !(service.equals("icmp") && isSource(to));
      if (from.equals(to) || isUnseen) {
        continue;
      }
      matrix.put(probe(from, to, true, service), true);
      matrix.put(probe(from, to, false, service), true);
    }
  }

  /** The host has no tap that frames could be sent from. */
  private static boolean isSource(String to) {
    return to.equals(PolicyWorld.HOST);
  }

  private static Probe probe(String from, String to, boolean isV4, String service) {
    String[] parts = service.split("/", -1);
    return new Probe(
        from,
        to,
        isV4,
        Protocol.valueOf(parts[0].toUpperCase(Locale.ROOT)),
        parts.length > 1 ? Integer.parseInt(parts[1]) : 0);
  }

  private static String service(Probe probe) {
    String protocol = probe.protocol().name().toLowerCase(Locale.ROOT);
    return probe.port() == 0 ? protocol : protocol + "/" + probe.port();
  }

  /** A line. */
  private record Line(String from, String to, String family, Set<String> services, boolean adds) {
    Line(String text) {
      this(text.split("[>:]", -1), text);
    }

    private Line(String[] parts, String text) {
      this(
          parts[0].strip(),
          parts[1].strip().split(" ", -1)[0],
          parts[1].strip().contains(" ") ? parts[1].strip().split(" ", -1)[1] : "",
          Set.copyOf(Arrays.asList(parts[2].strip().replaceFirst("\\+", "").split(",", -1))),
          text.contains("+"));
    }

    void change(Map<Probe, Boolean> matrix) {
      int matched = 0;
      for (Map.Entry<Probe, Boolean> entry : matrix.entrySet()) {
        Probe probe = entry.getKey();
        boolean isSource =
            matches(from, probe.from())
                && (!probe.from().equals(PolicyWorld.HOST) || from.contains(PolicyWorld.HOST));
        if (isSource
            && matches(to, probe.to())
            && (family.isEmpty() || family.equals(probe.isV4() ? "v4" : "v6"))) {
          boolean allowed = services.contains("all") || services.contains(service(probe));
          entry.setValue(allowed || (adds && entry.getValue()));
          matched++;
        }
      }
      if (matched == 0) {
        throw new AssertionError("a line of the expectation matches no probe: " + this);
      }
    }

    private static boolean matches(String pattern, String name) {
      if (pattern.startsWith("!")) {
        return !matches(pattern.substring(1), name);
      }
      return pattern.equals("*") || List.of(pattern.split(",")).contains(name);
    }
  }
}
