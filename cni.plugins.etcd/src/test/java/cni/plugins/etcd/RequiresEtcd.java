// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.File;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;

/**
 * A JUnit test that starts an {@link EtcdCluster}. Where etcd is not installed the test is skipped
 * and says so; with the environment variable {@code CI} set it fails instead.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(RequiresEtcd.Condition.class)
@interface RequiresEtcd {
  /** Returns the further commands that the test needs. */
  String[] commands() default {};

  /** The implementation of {@link RequiresEtcd}. */
  final class Condition implements ExecutionCondition {
    /** Debian's packages etcd-server, etcd-client, util-linux, procps and openssl. */
    private static final List<String> COMMANDS =
        List.of("etcd", "etcdctl", "setpriv", "kill", "openssl");

    /** Creates the condition; called by JUnit. */
    Condition() {}

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      Stream<String> further =
          AnnotationSupport.findAnnotation(context.getElement(), RequiresEtcd.class).stream()
              .flatMap(it -> Arrays.stream(it.commands()));
      List<String> missing =
          Stream.concat(COMMANDS.stream(), further).filter(it -> !isInstalled(it)).toList();
      if (missing.isEmpty()) {
        return ConditionEvaluationResult.enabled("etcd is installed");
      }
      String reason = "it needs the commands " + String.join(", ", missing);
      if (System.getenv("CI") != null) {
        throw new IllegalStateException("a test with etcd cannot run: " + reason);
      }
      return ConditionEvaluationResult.disabled(reason);
    }

    private static boolean isInstalled(String command) {
      return Arrays.stream(System.getenv("PATH").split(File.pathSeparator, -1))
          .anyMatch(directory -> Files.isExecutable(Path.of(directory, command)));
    }
  }
}
