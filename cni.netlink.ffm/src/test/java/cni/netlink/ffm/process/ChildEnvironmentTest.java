// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class ChildEnvironmentTest {
  private static List<String> ofCaller(String... variables) {
    List<byte[]> own =
        List.of(variables).stream().map(it -> it.getBytes(StandardCharsets.ISO_8859_1)).toList();
    return ChildEnvironment.ofCaller(own).stream()
        .map(bytes -> new String(bytes, StandardCharsets.ISO_8859_1))
        .toList();
  }

  @Test
  void variablesThatTheLauncherChangesAreThoseOfItsCaller() {
    assertEquals(
        List.of("A=1", "MALLOC_ARENA_MAX_=3", "CLASSPATH=/a b=\u00ff", "JDK_JAVA_OPTIONS="),
        ofCaller(
            "A=1",
            "MALLOC_ARENA_MAX=1",
            "MALLOC_ARENA_MAX_=3",
            "CNI_CALLER_MALLOC_ARENA_MAX=",
            "CNI_CALLER_CLASSPATH==/a b=\u00ff",
            "CNI_CALLER_JDK_JAVA_OPTIONS==",
            "CNI_CALLER__JAVA_OPTIONS="));
  }

  @Test
  void variablesOfAProcessWithoutLauncherAreItsOwn() {
    assertEquals(
        List.of("MALLOC_ARENA_MAX=1", "CNI_PATH=/x", "odd"),
        ofCaller("MALLOC_ARENA_MAX=1", "CNI_PATH=/x", "odd"));
  }
}
