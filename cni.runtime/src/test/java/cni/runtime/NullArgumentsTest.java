// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A null argument of a public method or constructor of an exported package fails at the call that
 * got it, with a message that starts with the parameter's name; so does a null element of a
 * variable argument list or of a collection.
 */
class NullArgumentsTest {
  @TempDir private Path directory;
  private final List<String> failures = new ArrayList<>();
  private int calls;

  @Test
  void nullArgumentsAreNamed() throws Exception {
    try (Cni cni = Cni.builder().networks(directory).cache(directory).executables().build()) {
      var samples = new SampleArguments(cni);
      for (Class<?> member : List.of(Attachment.class, Cni.class)) {
        for (Class<?> type : ExportedTypes.besides(member)) {
          callAll(type, samples);
        }
      }
    }
    assertEquals("", String.join("\n", failures));
    assertTrue(calls > 400, "only " + calls + " calls: were the types found?");
  }

  private void callAll(Class<?> type, SampleArguments samples) throws Exception {
    for (Executable executable : executables(type)) {
      Parameter[] parameters = executable.getParameters();
      for (int i = 0; i < parameters.length; i++) {
        if (parameters[i].getType().isPrimitive() || isNullable(parameters[i])) {
          continue;
        }
        assertTrue(parameters[i].isNamePresent(), type + " must be compiled with -parameters");
        assertNamed(executable, i, null, samples);
        Optional<Object> withNullElement = withNullElement(parameters[i]);
        if (withNullElement.isPresent()) {
          assertNamed(executable, i, withNullElement.get(), samples);
        }
      }
    }
  }

  /** Returns the public constructors and methods of the type that have a body. */
  private static List<Executable> executables(Class<?> type) {
    Stream<Executable> all =
        Stream.concat(
            Arrays.stream(type.getDeclaredConstructors()),
            Arrays.stream(type.getDeclaredMethods()));
    return all.filter(it -> Modifier.isPublic(it.getModifiers()))
        .filter(it -> !Modifier.isAbstract(it.getModifiers()) && !it.isSynthetic())
        .filter(it -> !it.getName().equals("equals"))
        .filter(it -> !(type.isEnum() && it.getName().equals("valueOf"))) // the compiler's
        .toList();
  }

  private static boolean isNullable(Parameter parameter) {
    return parameter.getAnnotatedType().isAnnotationPresent(Nullable.class);
  }

  /** Returns an argument with a null element, if the parameter takes several elements. */
  private static Optional<Object> withNullElement(Parameter parameter) {
    Class<?> type = parameter.getType();
    if (parameter.isVarArgs()) {
      return Optional.of(Array.newInstance(type.getComponentType(), 1));
    }
    if (type == List.class || type == Collection.class) {
      return Optional.of(Arrays.asList(new Object[1]));
    }
    return type == Set.class
        ? Optional.of(new HashSet<>(Arrays.asList(new Object[1])))
        : Optional.empty();
  }

  private void assertNamed(
      Executable executable, int index, @Nullable Object argument, SampleArguments samples)
      throws Exception {
    Parameter[] parameters = executable.getParameters();
    @Nullable Object[] arguments = new @Nullable Object[parameters.length];
    for (int i = 0; i < arguments.length; i++) {
      arguments[i] = i == index ? argument : samples.of(parameters[i].getType());
    }
    calls++;
    String name = parameters[index].getName();
    String outcome = outcome(executable, arguments, samples);
    if (!outcome.equals(name) && !outcome.startsWith(name + " ")) {
      failures.add(
          "%s: %s%s: %s"
              .formatted(
                  executable.toGenericString(),
                  name,
                  argument == null ? "" : " with a null element",
                  outcome));
    }
  }

  /** Returns the message of the NullPointerException, or a description of what came instead. */
  private static String outcome(
      Executable executable, @Nullable Object[] arguments, SampleArguments samples)
      throws Exception {
    try {
      if (executable instanceof Constructor<?> constructor) {
        constructor.newInstance(arguments);
      } else {
        boolean isStatic = Modifier.isStatic(executable.getModifiers());
        Object target = isStatic ? null : samples.of(executable.getDeclaringClass());
        ((Method) executable).invoke(target, arguments);
      }
      return "(no exception)";
    } catch (InvocationTargetException e) {
      Throwable cause = e.getCause();
      return cause instanceof NullPointerException && cause.getMessage() != null
          ? cause.getMessage()
          : "(" + cause + ")";
    }
  }
}
