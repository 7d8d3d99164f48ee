// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Cidr;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;

/** The questions of {@code cni init} on a terminal. An empty line is the answer in brackets. */
final class InitQuestions {
  private static final String NONE = "none";

  private final BufferedReader input;
  private final PrintStream output;
  private final NewNetworkChecks checks;

  InitQuestions(BufferedReader input, PrintStream output, NewNetworkChecks checks) {
    this.input = input;
    this.output = output;
    this.checks = checks;
  }

  /**
   * Asks for what a network should be like.
   *
   * @param proposal the answers in brackets
   * @throws IOException if the input ends
   */
  NetworkTemplate ask(NetworkTemplate proposal) throws IOException {
    List<Cidr> subnets = new ArrayList<>();
    for (Cidr proposed : proposal.subnets()) {
      String question = proposed.isV4() ? "IPv4 subnet" : "IPv6 subnet, or none";
      answer(question, proposed.toString(), text -> subnet(text, proposed.isV4(), subnets))
          .ifPresent(subnets::add);
    }
    String bridge =
        answer("Bridge", proposal.bridge(), text -> Optional.of(checks.bridge(text))).orElseThrow();
    return new NetworkTemplate(
        proposal.name(), bridge, subnets, proposal.mtu(), proposal.chained());
  }

  /**
   * Asks a question that is answered by yes or no.
   *
   * @throws IOException if the input ends
   */
  boolean confirm(String question) throws IOException {
    String text = line(question + " [Y/n] ").toLowerCase(Locale.ROOT);
    return text.isEmpty() || text.equals("y") || text.equals("yes");
  }

  /** Asks until the answer is valid: the function throws IllegalArgumentException if it is not. */
  private <T> Optional<T> answer(
      String question, String proposal, Function<String, Optional<T>> parse) throws IOException {
    while (true) {
      String text = line("%s [%s]: ".formatted(question, proposal));
      String answer = text.isEmpty() ? proposal : text;
      try {
        return parse.apply(answer);
      } catch (IllegalArgumentException e) {
        output.println("  " + answer + " " + e.getMessage());
      }
    }
  }

  private String line(String prompt) throws IOException {
    output.print(prompt);
    output.flush();
    String line = input.readLine();
    if (line == null) {
      throw new IOException("the input has ended; nothing was written");
    }
    return line.strip();
  }

  private Optional<Cidr> subnet(String text, boolean v4, List<Cidr> chosen) {
    if (!v4 && text.equals(NONE)) {
      return Optional.empty();
    }
    if (Cidr.parse(text).isV4() != v4) {
      throw new IllegalArgumentException("is not an IPv" + (v4 ? 4 : 6) + " subnet");
    }
    return Optional.of(checks.subnet(text, chosen));
  }
}
