package cni.netlink.lab;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;

/** Decides whether a {@link KernelTest} can run. */
final class Prerequisites implements ExecutionCondition {
  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    List<String> missing = new ArrayList<>();
    if (!isRoot()) {
      missing.add("root, to create network namespaces");
    }
    List<String> commands = new ArrayList<>(List.of("ip", "ping"));
    AnnotationSupport.findAnnotation(context.getElement(), KernelTest.class)
        .ifPresent(
            test -> {
              commands.addAll(Arrays.asList(test.commands()));
              if (test.reference() && !ReferencePlugins.areInstalled()) {
                missing.add(ReferencePlugins.description());
              }
            });
    commands.stream()
        .filter(command -> !isInstalled(command))
        .map(command -> "the command " + command)
        .forEach(missing::add);
    if (missing.isEmpty()) {
      return ConditionEvaluationResult.enabled("everything is there");
    }
    String what = "it needs " + String.join(", ", missing);
    if (System.getenv("CI") != null) {
      throw new IllegalStateException("a kernel test cannot run: " + what);
    }
    return ConditionEvaluationResult.disabled(what);
  }

  private static boolean isInstalled(String command) {
    String path = System.getenv("PATH") + ":/usr/sbin:/sbin";
    return Arrays.stream(path.split(":", -1))
        .anyMatch(directory -> Files.isExecutable(Path.of(directory).resolve(command)));
  }

  private static boolean isRoot() {
    try {
      return Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0);
    } catch (IOException e) {
      return false;
    }
  }
}
