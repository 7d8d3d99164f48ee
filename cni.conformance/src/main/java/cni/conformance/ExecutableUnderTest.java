// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * An executable plugin, in any language.
 *
 * @param file the file to run
 * @param timeout the time limit for one call
 */
public record ExecutableUnderTest(Path file, Duration timeout) implements PluginUnderTest {
  private static final int MAX_OUTPUT_BYTES = 1 << 20;

  @Override
  public String describe() {
    return file.toString();
  }

  /** Returns the environment without the protocol's variables; executables may need others. */
  private static ChildEnvironment inherited() {
    ChildEnvironment others = ChildEnvironment.inherited().withoutPrefix("CNI_");
    String hostSocket = System.getenv("CNI_HOST_SOCKET");
    return hostSocket == null ? others : others.with(Map.of("CNI_HOST_SOCKET", hostSocket));
  }

  @Override
  public Response call(Map<String, String> environment, byte[] input, Path hostNamespace)
      throws CniException {
    ChildEnvironment all = inherited().with(environment);
    try (NetNs host = NetNs.open(hostNamespace);
        ChildProcess process =
            host.<ChildProcess, KernelException>call(
                () -> ChildProcess.start(List.of(file.toString()), all, input, MAX_OUTPUT_BYTES))) {
      boolean ended = process.communicate(timeout);
      int status =
          ended
              ? process.exitStatus().orElseGet(() -> -process.signal().orElse(1))
              : Response.TIMED_OUT;
      return new Response(status, process.output(), process.errorOutput());
    } catch (KernelException e) {
      throw new CniException(ErrorCode.IO_FAILURE, file + " cannot be run: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      throw CniException.interrupted("running " + file);
    }
  }
}
