// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.Suggestions;
import cni.runtime.Cni;
import cni.runtime.GcReport;
import cni.runtime.Network;
import java.io.PrintStream;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/** {@code cni gc}. */
final class GcCommand extends Subcommand {
  /** How many known attachments an error names. */
  private static final int MAX_NAMED = 10;

  private final NetworkOptions options = NetworkOptions.ofAll(spec());
  private final OptionSpec valid =
      listOption("--valid")
          .paramLabel("ID/IFNAME")
          .description(
              "Attachment to keep: container id and interface name, as in --valid blue-1/eth0; may be"
                  + " repeated. All others are removed, whether or not they exist.")
          .build();
  private final OptionSpec all =
      flag("--all", "Remove every attachment of the network, also those in use.");
  private final OptionSpec force = flag("--force", "Accept --valid for attachments not known.");
  private final OptionSpec dryRun =
      flag("--dry-run", "Print what would be removed, and remove nothing.");

  GcCommand() {
    super(
        "Remove resources of attachments that no longer exist.",
        "Keeps the attachments whose namespace and interface exist, those of which that is not known,"
            + " and those whose ADD made no interface; or, with --valid, exactly those named. Deletes the others in the cache and those of interrupted ADDs, then has every"
            + " plugin remove what belongs to none of those kept, such as reservations and rules."
            + " Attachments that are not in this cache (--cache), as those of another container"
            + " engine, count as no longer existing.");
    NetworkOptions.addUnusedNamespace(spec());
    List.of(valid, all, force, dryRun).forEach(spec()::addOption);
  }

  @Override
  public Integer call() throws CniException {
    List<String> names = valid.getValue();
    if (isSet(all) && !names.isEmpty()) {
      throw new ParameterException(
          spec().commandLine(), "--all and --valid exclude each other: --all keeps nothing");
    }
    if (!options.nameNetwork() && (isSet(all) || !names.isEmpty())) {
      throw new ParameterException(
          spec().commandLine(),
          "--all and --valid need a NETWORK, as in \"cni gc mynet --all\": without one, only what no"
              + " longer exists is removed");
    }
    try {
      Set<AttachmentId> ids = new HashSet<>();
      for (String name : names) {
        ids.add(parse(name));
      }
      options.apply((network, cni) -> collect(network, cni, ids));
      return 0;
    } catch (CniException e) {
      if (!e.is(ErrorCode.INVALID_PARAMETER)) {
        throw e;
      }
      int _ = ErrorReporter.report(e);
      return UsageErrors.EXIT_USAGE;
    }
  }

  private void collect(Network network, Cni cni, Set<AttachmentId> ids) throws CniException {
    if (!isSet(force)) {
      requireKnown(network, ids);
    }
    if (!isSet(dryRun)) {
      AbandonedRuns.remove(cni);
    }
    print(run(network, ids));
  }

  private GcReport run(Network network, Set<AttachmentId> ids) throws CniException {
    boolean isExact = isSet(all) || !ids.isEmpty();
    if (isSet(dryRun)) {
      return network.planGc(isExact ? ids : network.livingAttachments());
    }
    return isExact ? network.gc(ids) : network.gcDead();
  }

  private static boolean isSet(OptionSpec flag) {
    return flag.<Boolean>getValue();
  }

  private void print(GcReport report) {
    PrintStream out = Invocation.standardOutput();
    String verb = isSet(dryRun) ? "would be removed" : "removed";
    for (AttachmentId id : report.deleted()) {
      out.println(
          "%s: container %s, interface %s: %s"
              .formatted(report.network(), id.containerId(), id.interfaceName(), verb));
    }
    out.println(
        "%s: %s %s, %d kept"
            .formatted(
                report.network(),
                report.deleted().size() == 1
                    ? "1 attachment"
                    : report.deleted().size() + " attachments",
                verb,
                report.kept().size()));
    if (!report.collectors().isEmpty()) {
      out.println(
          "%s: what belongs to no attachment %s by %s"
              .formatted(report.network(), verb, String.join(", ", report.collectors())));
    }
  }

  private static AttachmentId parse(String text) throws CniException {
    int slash = text.indexOf('/');
    if (slash < 0) {
      throw invalid(text, "must have the form ID/IFNAME: a container id and an interface name");
    }
    var id = new AttachmentId(text.substring(0, slash), text.substring(slash + 1));
    Attachment.requireValid(id);
    return id;
  }

  /** Requires that the attachments are known: after a typing error GC would delete them. */
  private static void requireKnown(Network network, Set<AttachmentId> ids) throws CniException {
    List<String> known = network.knownAttachments().stream().map(GcCommand::text).toList();
    for (AttachmentId id : ids) {
      if (!known.contains(text(id))) {
        throw invalid(
            text(id),
            "is no known attachment of network %s: %s --force accepts it"
                .formatted(network.name(), describe(text(id), known)));
      }
    }
  }

  private static String describe(String text, List<String> known) {
    if (known.isEmpty()) {
      return "none is known.";
    }
    return Suggestions.didYouMean(text, known)
        .orElse(
            "known are "
                + known.stream().limit(MAX_NAMED).collect(Collectors.joining(", "))
                + (known.size() > MAX_NAMED ? ", …." : "."));
  }

  private static CniException invalid(String text, String reason) {
    return new CniException(
        ErrorCode.INVALID_PARAMETER,
        "--valid " + Json.quote(text) + " " + reason + ". Nothing has been removed");
  }

  private static String text(AttachmentId id) {
    return id.containerId() + "/" + id.interfaceName();
  }
}
