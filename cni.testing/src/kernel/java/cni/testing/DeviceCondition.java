// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.testing.RequiresDevice.Device;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;

/** The implementation of {@link RequiresDevice}. */
public final class DeviceCondition implements ExecutionCondition {
  /** Creates the condition; called by JUnit. */
  public DeviceCondition() {}

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    List<Device> missing =
        AnnotationSupport.findAnnotation(context.getElement(), RequiresDevice.class).stream()
            .flatMap(it -> Arrays.stream(it.value()))
            .filter(device -> !DeviceProbe.has(device))
            .toList();
    if (missing.isEmpty()) {
      return ConditionEvaluationResult.enabled("the kernel has the devices");
    }
    String reason = "the kernel lacks " + missing;
    if (System.getenv("CNI_TEST_DEVICES") != null) {
      throw new IllegalStateException("a test of a device cannot run: " + reason);
    }
    return ConditionEvaluationResult.disabled(reason + "; .ci/device-tests runs this test");
  }
}
