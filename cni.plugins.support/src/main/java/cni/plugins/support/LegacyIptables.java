package cni.plugins.support;

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
 * The tables of the legacy variant of iptables, from before nf_tables, which only its own command
 * can change. Nothing is made in them here; but what the reference plugins have left there is
 * removed. Where the kernel has no such tables, nothing is run.
 *
 * @param proc /proc/thread-self/net, where the kernel names the tables of a namespace
 * @param directories where the commands are looked for
 */
public record LegacyIptables(Path proc, List<Path> directories) {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.support");

  /** That of this system. */
  public static final LegacyIptables SYSTEM =
      new LegacyIptables(Path.of("/proc/thread-self/net"), HostCommand.DIRECTORIES);

  /** Takes a copy of the list. */
  public LegacyIptables {
    directories = List.copyOf(directories);
  }

  /**
   * A rule as {@code iptables -S} tells it.
   *
   * @param chain the chain that it is in
   * @param words its options and their values
   */
  public record LegacyRule(String chain, List<String> words) {
    /** What follows an option, if the rule has that option. */
    public Optional<String> value(String option) {
      int at = words.indexOf(option);
      return at >= 0 && at + 1 < words.size() ? Optional.of(words.get(at + 1)) : Optional.empty();
    }

    /** What the rule does, or where it leads to. */
    public Optional<String> target() {
      return value("-j").or(() -> value("-g"));
    }
  }

  /**
   * Removes chains, with what leads to them, from the tables of both families.
   *
   * @param chains says by all rules of a table which chains are to go; they need not be there
   * @throws IOException if the command fails
   */
  public void removeChains(
      NetNsSession host, String table, Function<List<LegacyRule>, Set<String>> chains)
      throws IOException {
    remove(host, table, chains, rule -> false);
  }

  /**
   * Removes rules from the tables of both families.
   *
   * @param rules says which are to go
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
      } else { // then none of the plugins has used it either
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
    Set<String> gone = new HashSet<>(chains.apply(all));
    gone.retainAll(all.stream().map(LegacyRule::chain).collect(Collectors.toUnmodifiableSet()));
    for (LegacyRule rule : all) {
      boolean enters = rule.target().filter(gone::contains).isPresent();
      if (!gone.contains(rule.chain()) && (enters || rules.test(rule))) {
        List<String> words = new ArrayList<>(List.of("-w", "-t", table, "-D", rule.chain()));
        words.addAll(rule.words());
        run(host, command, words);
      }
    }
    for (String chain : gone) {
      run(host, command, List.of("-w", "-t", table, "-F", chain));
      run(host, command, List.of("-w", "-t", table, "-X", chain));
    }
  }

  /** The families that have the table. */
  private List<String> familiesWithTable(String table) throws IOException {
    List<String> families = new ArrayList<>();
    for (String family : List.of("ip", "ip6")) {
      if (hasTable(family, table)) {
        families.add(family);
      }
    }
    return families;
  }

  private boolean hasTable(String family, String table) throws IOException {
    try {
      return Files.readAllLines(proc.resolve(family + "_tables_names")).contains(table);
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  /** The command that is the legacy one by name, or else the one that there is. */
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

  /** Splits a line at blanks, except within double quotes; a backslash keeps what follows it. */
  private static List<String> split(String line) {
    List<String> words = new ArrayList<>();
    var word = new StringBuilder();
    boolean quoted = false;
    boolean begun = false;
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (c == '\\' && i + 1 < line.length()) {
        word.append(line.charAt(++i));
        begun = true;
      } else if (c == '"') {
        quoted = !quoted;
        begun = true;
      } else if (c == ' ' && !quoted) {
        if (begun) {
          words.add(word.toString());
        }
        word.setLength(0);
        begun = false;
      } else {
        word.append(c);
        begun = true;
      }
    }
    if (begun) {
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
