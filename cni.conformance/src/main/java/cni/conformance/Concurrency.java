package cni.conformance;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.conformance.Stage.Container;
import cni.conformance.Subject.Answer;
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
final class Concurrency {
  private Concurrency() {}

  static void run(Trial trial) throws CheckFailure, NotApplicable, CniException, IOException {
    int count = trial.setting().containers();
    trial.onlyIf(count > 1, "one can be attached at a time");
    List<Container> containers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      containers.add(trial.container());
    }
    List<Callable<Answer>> additions = new ArrayList<>();
    for (Container container : containers) {
      additions.add(() -> trial.call(trial.add(container)));
    }
    Set<String> addresses = new HashSet<>();
    boolean given = trial.setting().role() != Setting.Role.CHAINED && !isStatic(trial);
    List<Answer> added = all(additions);
    for (int i = 0; i < count; i++) {
      Answer answer = added.get(i);
      trial.require(answer.succeeded(), "one of " + count + " ADDs at once " + answer.describe());
      ObjectNode result = trial.result(answer, "ADD");
      trial.remember(containers.get(i), result);
      for (JsonNode ip : result.path("ips")) {
        String address = ip.path("address").asString("");
        trial.require(!given || addresses.add(address), address + " was given out twice");
      }
    }
    List<Callable<Answer>> deletions = new ArrayList<>();
    for (Container container : containers) {
      deletions.add(() -> trial.call(trial.delete(container)));
    }
    for (Answer answer : all(deletions)) {
      trial.require(answer.succeeded(), "one of " + count + " DELs at once " + answer.describe());
    }
  }

  private static boolean isStatic(Trial trial) {
    return trial.setting().config().path("ipam").path("type").asString("").equals("static");
  }

  private static List<Answer> all(List<Callable<Answer>> calls) throws CniException {
    try (ExecutorService threads = Executors.newFixedThreadPool(calls.size())) {
      List<Answer> answers = new ArrayList<>();
      for (Future<Answer> answer : threads.invokeAll(calls)) {
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
