package cni.conformance;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.ChildEnvironment;
import cni.netlink.ffm.ChildProcess;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetNs;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * An executable, in whichever language.
 *
 * @param file that is run
 * @param patience how long one call may take
 */
public record ExecutableSubject(Path file, Duration patience) implements Subject {
  private static final int LONGEST_OUTPUT = 1 << 20;

  @Override
  public String describe() {
    return file.toString();
  }

  @Override
  public Answer call(Map<String, String> environment, byte[] input, Path hostNamespace)
      throws CniException {
    ChildEnvironment all = ChildEnvironment.inherited().without("CNI_").with(environment);
    try (NetNs host = NetNs.open(hostNamespace);
        ChildProcess process =
            host.<ChildProcess, KernelException>call(
                () -> ChildProcess.start(List.of(file.toString()), all, input, LONGEST_OUTPUT))) {
      boolean ended = process.pump(patience);
      int status =
          ended ? process.exitStatus().orElseGet(() -> -process.signal().orElse(1)) : Answer.NO_END;
      return new Answer(status, process.output(), process.errors());
    } catch (KernelException e) {
      throw new CniException(ErrorCode.IO_FAILURE, file + " cannot be run: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      throw CniException.interrupted("running " + file);
    }
  }
}
