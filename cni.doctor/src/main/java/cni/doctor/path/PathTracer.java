// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Finds out why a packet does or does not arrive. It sends a packet and traces it through the rules
 * of nf_tables in every namespace on the path, then follows the path that the kernel's routes,
 * links, bridges and neighbours give such a packet. The table of rules that marks the packets for
 * the trace is removed by the kernel when the tracer or the process ends. Needs root.
 *
 * <pre>{@code
 * var tracer = new PathTracer(Optional.empty(), cni.attachments());
 * PathReport report = tracer.trace(new PathQuery(blue, green, address, ProbeProtocol.TCP, 80, 0, true));
 * }</pre>
 */
public final class PathTracer {
  private final Optional<Path> hostNamespace;
  private final List<CachedAttachment> attachments;
  private final IntegrityCheck check;

  /**
   * Creates a tracer that takes every attachment for intact.
   *
   * @param hostNamespace the path of the host's network namespace; empty for that of this process
   * @param attachments the containers that may be on a path, {@link cni.runtime.Cni#attachments}
   */
  public PathTracer(Optional<Path> hostNamespace, List<CachedAttachment> attachments) {
    this(hostNamespace, attachments, _ -> true);
  }

  /**
   * Creates a tracer.
   *
   * @param hostNamespace the path of the host's network namespace; empty for that of this process
   * @param attachments the containers that may be on a path, {@link cni.runtime.Cni#attachments}
   * @param check is asked where another program's filter drops a packet: rules that a CNI plugin
   *     has made to accept it may have been deleted
   */
  public PathTracer(
      Optional<Path> hostNamespace, List<CachedAttachment> attachments, IntegrityCheck check) {
    this.hostNamespace = hostNamespace;
    this.attachments = List.copyOf(attachments);
    this.check = check;
  }

  /**
   * Follows a packet. Sending it takes up to two times 1.3 seconds if it is lost.
   *
   * @throws CniException code 8 if the source's namespace does not exist, code 5 if the kernel
   *     cannot be asked
   */
  public PathReport trace(PathQuery query) throws CniException {
    try (var namespaces = new Namespaces(hostNamespace, attachments, check)) {
      return new Investigation(namespaces, attachments, query).report();
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "the path cannot be examined: " + e.getMessage(), e);
    }
  }
}
