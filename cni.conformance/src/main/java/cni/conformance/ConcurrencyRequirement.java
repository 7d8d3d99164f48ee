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

/** Several containers at once. */
final class ConcurrencyRequirement {
  private ConcurrencyRequirement() {}

  static void check(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    int count = trial.subjectConfig().containers();
    trial.assume(count > 1, "one can be attached at a time");
    List<Container> containers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      containers.add(trial.createContainer());
    }
    List<Callable<Response>> additions = new ArrayList<>();
    for (Container container : containers) {
      additions.add(() -> trial.call(trial.addRequest(container)));
    }
    Set<String> addresses = new HashSet<>();
    boolean given = trial.subjectConfig().role() != SubjectConfig.Role.CHAINED && !isStatic(trial);
    List<Response> added = callAll(additions);
    for (int i = 0; i < count; i++) {
      Response answer = added.get(i);
      trial.require(answer.succeeded(), "one of " + count + " ADDs at once " + answer.describe());
      ObjectNode result = trial.parseResult(answer, "ADD");
      trial.recordResult(containers.get(i), result);
      for (JsonNode ip : result.path("ips")) {
        String address = ip.path("address").asString("");
        trial.require(!given || addresses.add(address), address + " was given out twice");
      }
    }
    List<Callable<Response>> deletions = new ArrayList<>();
    for (Container container : containers) {
      deletions.add(() -> trial.call(trial.deleteRequest(container)));
    }
    for (Response answer : callAll(deletions)) {
      trial.require(answer.succeeded(), "one of " + count + " DELs at once " + answer.describe());
    }
  }

  private static boolean isStatic(CheckContext trial) {
    return trial.subjectConfig().config().path("ipam").path("type").asString("").equals("static");
  }

  private static List<Response> callAll(List<Callable<Response>> calls) throws CniException {
    try (ExecutorService threads = Executors.newFixedThreadPool(calls.size())) {
      List<Response> answers = new ArrayList<>();
      for (Future<Response> answer : threads.invokeAll(calls)) {
        answers.add(answer.get());
      }
      return answers;
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for calls at once");
    } catch (ExecutionException e) {
      throw e.getCause() instanceof CniException own
          ? own
          : new CniException(ErrorCode.INTERNAL, "unexpected " + e.getCause(), e);
    }
  }
}
