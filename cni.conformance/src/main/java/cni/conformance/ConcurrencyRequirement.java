// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.conformance.CheckHost.Container;
import cni.conformance.PluginUnderTest.Response;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The requirement that several containers can be attached and detached concurrently. */
final class ConcurrencyRequirement {
  private ConcurrencyRequirement() {}

  static void check(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    int count = context.subjectConfig().containers();
    context.assume(count > 1, "only one container can be attached at a time");
    List<Container> containers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      containers.add(context.createContainer());
    }
    List<Callable<Response>> additions = new ArrayList<>();
    for (Container container : containers) {
      additions.add(() -> context.call(context.addRequest(container)));
    }
    Set<String> addresses = new HashSet<>();
    boolean assignsAddresses =
        context.subjectConfig().role() != SubjectConfig.Role.CHAINED && !isStatic(context);
    List<Response> added = callAll(additions);
    for (int i = 0; i < count; i++) {
      Response response = added.get(i);
      context.require(
          response.succeeded(), "one of " + count + " concurrent ADDs " + response.describe());
      ObjectNode result = context.parseResult(response, "ADD");
      context.recordResult(containers.get(i), result);
      for (JsonNode ip : result.path("ips")) {
        String address = ip.path("address").asString("");
        context.require(
            !assignsAddresses || addresses.add(address), address + " was assigned twice");
      }
    }
    List<Callable<Response>> deletions = new ArrayList<>();
    for (Container container : containers) {
      deletions.add(() -> context.call(context.deleteRequest(container)));
    }
    for (Response response : callAll(deletions)) {
      context.require(
          response.succeeded(), "one of " + count + " concurrent DELs " + response.describe());
    }
  }

  private static boolean isStatic(CheckContext context) {
    return context.subjectConfig().config().path("ipam").path("type").asString("").equals("static");
  }

  private static List<Response> callAll(List<Callable<Response>> calls) throws CniException {
    try (ExecutorService threads = Executors.newFixedThreadPool(calls.size())) {
      List<Response> responses = new ArrayList<>();
      for (Future<Response> response : threads.invokeAll(calls)) {
        responses.add(response.get());
      }
      return responses;
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for concurrent calls");
    } catch (ExecutionException e) {
      throw e.getCause() instanceof CniException failure
          ? failure
          : new CniException(ErrorCode.INTERNAL, "unexpected " + e.getCause(), e);
    }
  }
}
