// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Removal of chains and rules from the tables of legacy iptables (ip_tables, the predecessor of
 * nf_tables), which only the command {@code iptables-legacy} can change. Nothing is added to them;
 * chains and rules of the reference plugins are removed. No command runs unless the kernel lists
 * such tables.
 *
 * @param proc /proc/thread-self/net, where the kernel lists the tables of a namespace
 * @param directories the directories that are searched for the command
 */
public record LegacyIptables(Path proc, List<Path> directories) {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.support");

  /** The tables and commands of this system. */
  public static final LegacyIptables SYSTEM =
      new LegacyIptables(Path.of("/proc/thread-self/net"), HostCommand.DIRECTORIES);

  /** Copies the list. */
  public LegacyIptables {
    directories = List.copyOf(directories);
  }

  /**
   * A rule as {@code iptables -S} prints it.
   *
   * @param chain the chain that has the rule
   * @param words the rule's options and their values
   */
  public record LegacyRule(String chain, List<String> words) {
    /** Returns the value of an option, or empty if the rule does not have the option. */
    public Optional<String> value(String option) {
      int at = words.indexOf(option);
      return at >= 0 && at + 1 < words.size() ? Optional.of(words.get(at + 1)) : Optional.empty();
    }

    /** Returns the target of {@code -j} or {@code -g}: a verdict, an extension or a chain. */
    public Optional<String> target() {
      return value("-j").or(() -> value("-g"));
    }
  }

  /**
   * Removes chains, and the rules that jump to them, from a table of both address families.
   *
   * @param chains returns the names of the chains to remove, given all rules of the table; chains
   *     that do not exist are ignored
   * @throws IOException if the command fails
   */
  public void removeChains(
      NetNsSession host, String table, Function<List<LegacyRule>, Set<String>> chains)
      throws IOException {
    remove(host, table, chains, rule -> false);
  }

  /**
   * Removes rules from a table of both address families.
   *
   * @param rules matches the rules to remove
   * @throws IOException if the command fails
   */
  public void removeRules(NetNsSession host, String table, Predicate<LegacyRule> rules)
      throws IOException {
    remove(host, table, all -> Set.of(), rules);
  }

  private void remove(
      NetNsSession host,
      String table,
      Function<List<LegacyRule>, Set<String>> chains,
      Predicate<LegacyRule> rules)
      throws IOException {
    for (String family :
        host.<List<String>, IOException>callInside(() -> familiesWithTable(table))) {
      Optional<Path> command = findCommand(family + "tables");
      if (command.isPresent()) {
        remove(host, command.get(), table, chains, rules);
      } else { // a plugin that used the tables needed the command, too
        LOG.get()
            .log(
                System.Logger.Level.WARNING,
                "the kernel has legacy tables of %stables, but their command is in none of %s"
                    .formatted(family, directories));
      }
    }
  }

  private static void remove(
      NetNsSession host,
      Path command,
      String table,
      Function<List<LegacyRule>, Set<String>> chains,
      Predicate<LegacyRule> rules)
      throws IOException {
    List<LegacyRule> all = list(host, command, table);
    Set<String> doomed = new HashSet<>(chains.apply(all));
    doomed.retainAll(all.stream().map(LegacyRule::chain).collect(Collectors.toUnmodifiableSet()));
    for (LegacyRule rule : all) {
      boolean jumps = rule.target().filter(doomed::contains).isPresent();
      if (!doomed.contains(rule.chain()) && (jumps || rules.test(rule))) {
        List<String> words = new ArrayList<>(List.of("-w", "-t", table, "-D", rule.chain()));
        words.addAll(rule.words());
        run(host, command, words);
      }
    }
    for (String chain : doomed) {
      run(host, command, List.of("-w", "-t", table, "-F", chain));
      run(host, command, List.of("-w", "-t", table, "-X", chain));
    }
  }

  /** Returns {@code ip} and {@code ip6}, as far as that family has the table. */
  private List<String> familiesWithTable(String table) {
    List<String> families = new ArrayList<>();
    for (String family : List.of("ip", "ip6")) {
      if (hasTable(family, table)) {
        families.add(family);
      }
    }
    return families;
  }

  /**
   * Whether the kernel has a table. If it cannot be found out, the answer is no. The file belongs
   * to root of the user namespace that owns the network namespace (xt_proto_init, x_tables.c); if
   * both were created in one step, as for an unprivileged container, that user has no number yet
   * and the file belongs to the machine's root instead: EACCES. The table cannot be asked for
   * otherwise without creating it.
   */
  private boolean hasTable(String family, String table) {
    Path file = proc.resolve(family + "_tables_names");
    try {
      return Files.readAllLines(file).contains(table);
    } catch (NoSuchFileException e) {
      return false;
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.DEBUG,
              "only rules of nf_tables are removed: " + IoErrors.describe(e));
      return false;
    }
  }

  /**
   * Finds the command: {@code iptables-legacy}, or else {@code iptables}, which is the legacy
   * variant on older distributions.
   */
  private Optional<Path> findCommand(String name) {
    return HostCommand.find(name + "-legacy", directories)
        .or(() -> HostCommand.find(name, directories));
  }

  private static List<LegacyRule> list(NetNsSession host, Path command, String table)
      throws IOException {
    List<LegacyRule> rules = new ArrayList<>();
    for (String line : run(host, command, List.of("-w", "-t", table, "-S")).lines().toList()) {
      List<String> words = split(line);
      boolean known = words.size() > 1 && Set.of("-A", "-N").contains(words.getFirst());
      if (known) {
        rules.add(new LegacyRule(words.get(1), words.subList(2, words.size())));
      }
    }
    return rules;
  }

  /** Splits a line at spaces outside double quotes; a backslash escapes the next character. */
  private static List<String> split(String line) {
    List<String> words = new ArrayList<>();
    var word = new StringBuilder();
    boolean quoted = false;
    boolean started = false;
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (c == '\\' && i + 1 < line.length()) {
        word.append(line.charAt(++i));
        started = true;
      } else if (c == '"') {
        quoted = !quoted;
        started = true;
      } else if (c == ' ' && !quoted) {
        if (started) {
          words.add(word.toString());
        }
        word.setLength(0);
        started = false;
      } else {
        word.append(c);
        started = true;
      }
    }
    if (started) {
      words.add(word.toString());
    }
    return words;
  }

  private static String run(NetNsSession host, Path command, List<String> arguments)
      throws IOException {
    List<String> words = new ArrayList<>(List.of(command.toString()));
    words.addAll(arguments);
    return new HostCommand(words).runIn(host);
  }
}
