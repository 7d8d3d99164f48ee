// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.IoErrors;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.runtime.Cni;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

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
        omitted.add(omitted(examination, e.getMessage(), e));
      } catch (IOException e) {
        omitted.add(omitted(examination, IoErrors.describe(e), e));
      } catch (RuntimeException e) { // an invalid path in a configuration, a malformed number
        omitted.add(omitted(examination, e.toString(), e));
      }
      findings.addAll(found.found());
    }
    return new Diagnosis(ALL.size() - omitted.size(), findings, omitted);
  }

  private static Diagnosis.Omitted omitted(
      Examination examination, String reason, Throwable failure) {
    return new Diagnosis.Omitted(examination.kind(), reason, lacksPrivilege(failure));
  }

  private static boolean lacksPrivilege(Throwable failure) {
    @Nullable Throwable cause = failure;
    while (cause != null) {
      boolean isRefused =
          cause instanceof KernelException it && (it.is(Errno.EPERM) || it.is(Errno.EACCES));
      if (isRefused || cause instanceof AccessDeniedException) {
        return true;
      }
      cause = cause.getCause();
    }
    return false;
  }
}
