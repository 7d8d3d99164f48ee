package cni.doctor;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.IoErrors;
import cni.runtime.Cni;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Finds what is wrong on a host: what keeps ADD from working, what stops traffic, what has leaked.
 * Changes nothing. An examination that cannot be made, for lack of privileges, is reported as such.
 */
public final class Doctor {
  private static final List<Examination> ALL =
      Stream.of(
              ConfigExaminations.ALL,
              PluginExaminations.ALL,
              StorageExaminations.ALL,
              CapacityExaminations.ALL,
              BridgeExaminations.ALL,
              SubnetExaminations.ALL,
              AddressExaminations.ALL,
              RoutingExaminations.ALL,
              FilterExaminations.ALL,
              PortExaminations.ALL,
              AttachmentExaminations.ALL,
              LeakExaminations.ALL)
          .flatMap(List::stream)
          .sorted(Comparator.comparing(Examination::kind))
          .toList();

  private Doctor() {}

  /** Returns the kinds of findings that are looked for, in the order of weight. */
  public static List<FindingKind> kinds() {
    return ALL.stream().map(Examination::kind).toList();
  }

  /**
   * Examines a host.
   *
   * @param cni the host's networks, plugins and attachments
   * @param locations the same places, which {@code cni} does not reveal
   * @param scope what the findings are restricted to
   * @throws CniException code 8 if the host's network namespace cannot be entered
   */
  public static Diagnosis examine(Cni cni, HostLocations locations, Scope scope)
      throws CniException {
    try (var host = new HostView(cni, locations)) {
      return examine(host, scope);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.INVALID_NAMESPACE,
          "the host's network namespace cannot be examined: " + IoErrors.describe(e),
          e);
    }
  }

  private static Diagnosis examine(HostView host, Scope scope) {
    List<Finding> findings = new ArrayList<>();
    List<Diagnosis.Omitted> omitted = new ArrayList<>();
    for (Examination examination : ALL) {
      var found = new Findings(examination.kind(), scope, List.copyOf(findings));
      try {
        examination.search().examine(host, found);
      } catch (CniException e) {
        omitted.add(new Diagnosis.Omitted(examination.kind(), e.getMessage()));
      } catch (IOException e) {
        omitted.add(new Diagnosis.Omitted(examination.kind(), IoErrors.describe(e)));
      } catch (RuntimeException e) { // an invalid path in a configuration, a malformed number
        omitted.add(new Diagnosis.Omitted(examination.kind(), e.toString()));
      }
      findings.addAll(found.found());
    }
    return new Diagnosis(ALL.size() - omitted.size(), findings, omitted);
  }
}
