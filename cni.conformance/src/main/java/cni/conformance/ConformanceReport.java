// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.Json;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The report of an examination.
 *
 * @param subject the description of the plugin
 * @param version the version of the specification that was used
 * @param findings one for each check, in order
 */
public record ConformanceReport(String subject, String version, List<RequirementResult> findings) {
  /** The outcome of a check. */
  public enum Outcome {
    /** The plugin meets the requirement. */
    PASSED,
    /** The plugin violates the requirement. */
    FAILED,
    /** The requirement does not apply to this plugin or its configuration. */
    SKIPPED
  }

  /**
   * The result of one check.
   *
   * @param id the stable id of the requirement
   * @param title the requirement in a few words
   * @param section the section of SPEC.md
   * @param specText the requirement in the specification's words
   * @param observed the violation, or the reason for skipping; empty if the check passed
   * @param time the duration of the check
   */
  public record RequirementResult(
      String id,
      String title,
      String section,
      String specText,
      Outcome outcome,
      String observed,
      Duration time) {}

  /** Returns the number of findings with the given outcome. */
  public long count(Outcome outcome) {
    return findings.stream().filter(it -> it.outcome() == outcome).count();
  }

  /** Returns whether no check failed. */
  public boolean passed() {
    return count(Outcome.FAILED) == 0;
  }

  /** Returns a text: a line for each check, with requirement and observation if it failed. */
  public String text() {
    var text = new StringBuilder();
    text.append(subject).append(", CNI ").append(version).append("\n\n");
    for (RequirementResult it : findings) {
      String mark =
          switch (it.outcome()) {
            case PASSED -> "ok  ";
            case FAILED -> "FAIL";
            case SKIPPED -> "-   ";
          };
      text.append("%s  %-13s %s%n".formatted(mark, it.id(), it.title()));
      if (it.outcome() == Outcome.FAILED) {
        text.append("        required: ").append(it.specText());
        text.append(" (section ").append(it.section()).append(")\n");
        text.append("        observed: ").append(it.observed()).append('\n');
      } else if (it.outcome() == Outcome.SKIPPED) {
        text.append("        ").append(it.observed()).append('\n');
      }
    }
    return text.append(
            "%n%d passed, %d failed, %d not applicable%n"
                .formatted(count(Outcome.PASSED), count(Outcome.FAILED), count(Outcome.SKIPPED)))
        .toString();
  }

  /** Returns an object with {@code subject}, {@code version}, counts and {@code checks}. */
  public ObjectNode json() {
    ObjectNode json = Json.object().put("subject", subject).put("version", version);
    json.put("passed", count(Outcome.PASSED))
        .put("failed", count(Outcome.FAILED))
        .put("skipped", count(Outcome.SKIPPED));
    ArrayNode checks = json.putArray("checks");
    for (RequirementResult it : findings) {
      checks
          .addObject()
          .put("id", it.id())
          .put("title", it.title())
          .put("outcome", it.outcome().name().toLowerCase(Locale.ROOT))
          .put("section", it.section())
          .put("sentence", it.specText())
          .put("seen", it.observed())
          .put("millis", it.time().toMillis());
    }
    return json;
  }

  /** Returns a test suite in JUnit's XML format, for build servers. */
  public String xml() {
    var xml = new StringBuilder("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.append(
        "<testsuite name=\"%s\" tests=\"%d\" failures=\"%d\" errors=\"0\" skipped=\"%d\">%n"
            .formatted(
                escape("CNI conformance of " + subject),
                findings.size(),
                count(Outcome.FAILED),
                count(Outcome.SKIPPED)));
    for (RequirementResult it : findings) {
      xml.append(
          "  <testcase classname=\"cni.conformance\" name=\"%s\" time=\"%s\">"
              .formatted(escape(it.id() + " " + it.title()), it.time().toMillis() / 1000.0));
      switch (it.outcome()) {
        case FAILED ->
            xml.append(
                "<failure message=\"%s\">%s</failure>"
                    .formatted(escape(it.observed()), escape("required: " + it.specText())));
        case SKIPPED -> xml.append("<skipped message=\"%s\"/>".formatted(escape(it.observed())));
        case PASSED -> {}
      }
      xml.append("</testcase>\n");
    }
    return xml.append("</testsuite>\n").toString();
  }

  /** Escapes text; characters that XML 1.0 does not allow become question marks. */
  private static String escape(String text) {
    return text.replaceAll("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]", "?")
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }
}
