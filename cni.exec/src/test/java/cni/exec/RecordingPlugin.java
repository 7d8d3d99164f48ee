// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.Result;
import cni.api.SpecVersion;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * A plugin that records its requests, and fails as the key {@code do} of its configuration says.
 */
final class RecordingPlugin implements NetworkPlugin {
  final List<PluginRequest> requests = new ArrayList<>();
  String verb = "";

  @Override
  public String type() {
    return "recording";
  }

  @Override
  public Set<SpecVersion> versions() {
    return Set.of(SpecVersion.V0_3_1, SpecVersion.V0_4_0, SpecVersion.V1_1_0);
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    record("ADD", request);
    return request.prevResult().orElse(Result.EMPTY);
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    record("CHECK", request);
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    record("DEL", request);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    record("GC", request);
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    record("STATUS", request);
  }

  private static int recurse(int depth) {
    return depth < 0 ? depth : recurse(depth + 1) + 1;
  }

  private void record(String called, PluginRequest request) throws CniException {
    requests.add(request);
    verb = called;
    switch (request.config().view().text("do").orElse("")) {
      case "fail" -> throw new CniException(107, "requested failure", "in detail", null);
      case "read" ->
          throw new CniException(ErrorCode.IO_FAILURE, "not read", new IOException("oops"));
      case "throw" -> throw new IllegalStateException("oops");
      case "link" -> throw new NoClassDefFoundError("oops");
      case "recurse" -> recurse(0);
      case "allocate" -> throw new OutOfMemoryError("oops");
      case "args" -> ((AttachmentRequest) request).attachment().args().toMap();
      default -> {}
    }
  }
}
