// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.doctor.Diagnosis;
import cni.doctor.Doctor;
import cni.doctor.Scope;
import cni.runtime.Cni;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni doctor}. */
final class DoctorCommand extends Subcommand {
  private static final int EXIT_ERRORS = 1;

  private final HostOptions host = new HostOptions(spec());
  private final PositionalParamSpec network =
      Subcommand.requiredParameter(0, "NETWORK")
          .arity("0..1")
          .required(false)
          .description("Report only what concerns this network.")
          .build();
  private final PositionalParamSpec namespace =
      AttachmentOptions.namespaceParameter().arity("0..1").required(false).build();
  private final OptionSpec json = flag("--json", "Print JSON.");

  DoctorCommand() {
    super(
        "Find what is wrong on this host, and how to mend it.",
        "Examines configurations, plugins, the cache, addresses, routes, rules and kernel parameters,"
            + " and changes nothing. Exits with 1 if there is an error or an examination could not be"
            + " made, with 0 if there are at most warnings.");
    spec().addPositional(network).addPositional(namespace).addOption(json);
  }

  @Override
  public Integer call() throws CniException {
    @Nullable String name = network.getValue();
    @Nullable String netns = namespace.getValue();
    var scope =
        new Scope(
            Optional.ofNullable(name), Optional.ofNullable(netns).map(NamespacePaths::resolve));
    Diagnosis diagnosis;
    try (Cni cni = host.open()) {
      requireKnown(scope, cni);
      diagnosis = Doctor.examine(cni, host.locations(), scope);
    }
    var report = new DiagnosisReport(diagnosis, SuggestedCommand.of(spec()));
    boolean asJson = json.getValue();
    if (asJson) {
      Json.print(report.json(), System.out);
    } else {
      report.print(System.out);
    }
    return diagnosis.hasErrors() || !diagnosis.omitted().isEmpty() ? EXIT_ERRORS : 0;
  }

  /** Requires that the scope names something that exists: a mistyped name must not seem healthy. */
  private void requireKnown(Scope scope, Cni cni) throws CniException {
    if (scope.network().isEmpty()) {
      return;
    }
    String name = scope.network().get();
    host.requireKnown(cni, List.of(name));
    boolean isInScope =
        cni.attachments().stream().anyMatch(it -> scope.includes(it.network(), it.attachment()));
    if (scope.namespace().isPresent() && !isInScope) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "%s is not attached to network %s; \"cni list\" shows what is attached"
              .formatted(scope.namespace().map(Path::toString).orElse(""), name));
    }
  }
}
