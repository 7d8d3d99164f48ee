// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.extension.AfterTestExecutionCallback;
import org.junit.jupiter.api.extension.BeforeTestExecutionCallback;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolutionException;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.platform.commons.support.AnnotationSupport;

/**
 * The implementation of {@link KernelTest}: checks prerequisites, creates test beds and closes
 * them.
 */
public final class KernelTestExtension
    implements ExecutionCondition,
        ParameterResolver,
        BeforeTestExecutionCallback,
        AfterTestExecutionCallback {
  private static final ExtensionContext.Namespace NAMESPACE =
      ExtensionContext.Namespace.create(KernelTestExtension.class);

  /** Creates the extension; called by JUnit. */
  public KernelTestExtension() {}

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
      return ConditionEvaluationResult.enabled("all prerequisites are met");
    }
    String reason = "it needs " + String.join(", ", missing);
    if (System.getenv("CI") != null) {
      throw new IllegalStateException("a kernel test cannot run: " + reason);
    }
    return ConditionEvaluationResult.disabled(reason);
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

  /** A test bed of the constructor is closed after the test, too, not after its class. */
  @Override
  public ExtensionContextScope getTestInstantiationExtensionContextScope(ExtensionContext root) {
    return ExtensionContextScope.TEST_METHOD;
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return TestBed.class.isAssignableFrom(parameter.getParameter().getType());
  }

  /** Creates a test bed; the context's store closes it with the context. */
  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    Class<?> type = parameter.getParameter().getType();
    try {
      Object bed = type.getConstructor().newInstance();
      context.getStore(NAMESPACE).put(bed, bed);
      return bed;
    } catch (ReflectiveOperationException e) {
      throw new ParameterResolutionException("cannot create a " + type.getName(), e);
    }
  }

  @Override
  public void beforeTestExecution(ExtensionContext context) {
    TestBed.KEPT.set(false);
  }

  @Override
  public void afterTestExecution(ExtensionContext context) {
    TestBed.KEPT.set(
        context.getExecutionException().isPresent() && System.getenv("CNI_TEST_KEEP") != null);
  }
}
