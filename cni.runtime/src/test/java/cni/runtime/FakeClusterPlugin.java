// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AddressReport;
import cni.api.AttachmentRequest;
import cni.api.ClusterAddressRegistry;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkRequest;
import cni.api.Result;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** An ipam plugin of type {@code shared} that records what an operator asks of it. */
final class FakeClusterPlugin implements ClusterAddressRegistry {
  static final AddressReport REPORT =
      new AddressReport(
          List.of(
              new AddressReport.Pool("10.1.0.1-10.1.0.6", BigInteger.valueOf(5), BigInteger.ONE)),
          List.of(),
          List.of(new AddressReport.Node("a", AddressReport.Liveness.ALIVE)),
          List.of(),
          List.of());

  /** The calls in order, each with the name and the version of the configuration. */
  final List<String> calls = new ArrayList<>();

  /** Runs in each call, after it has been recorded. */
  Runnable onCall = () -> {};

  @Override
  public String type() {
    return "shared";
  }

  @Override
  public Result add(AttachmentRequest request) {
    return Result.EMPTY;
  }

  @Override
  public void check(AttachmentRequest request) {}

  @Override
  public void delete(AttachmentRequest request) {}

  @Override
  public AddressReport report(NetworkRequest request) throws CniException {
    record("report", request);
    return REPORT;
  }

  @Override
  public int importReservations(NetworkRequest request, Path directory) throws CniException {
    record("import " + directory, request);
    return 2;
  }

  @Override
  public int releaseNode(NetworkRequest request, String node, boolean force) throws CniException {
    record("release " + node + " " + force, request);
    if (!force) {
      throw new CniException(ErrorCode.INVALID_PARAMETER, "node " + node + " is alive");
    }
    return 3;
  }

  @Override
  public boolean resume(NetworkRequest request, boolean force) throws CniException {
    record("resume " + force, request);
    return force;
  }

  private void record(String call, NetworkRequest request) throws CniException {
    calls.add(
        "%s: %s %s %s"
            .formatted(
                call,
                request.config().type(),
                request.config().network(),
                request.config().version()));
    onCall.run();
  }
}
