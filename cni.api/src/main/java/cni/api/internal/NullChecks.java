// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import static java.util.Objects.requireNonNull;

import java.util.Collection;
import java.util.List;

/** Checks of collections that are arguments of public methods. */
public final class NullChecks {
  private NullChecks() {}

  /**
   * Returns a collection, none of whose elements is null.
   *
   * @param name the name of the parameter
   * @throws NullPointerException if the collection or an element is null; the message starts with
   *     the name
   */
  public static <T extends Collection<?>> T requireElements(T collection, String name) {
    for (Object element : requireNonNull(collection, name)) {
      if (element == null) {
        throw nullElement(name);
      }
    }
    return collection;
  }

  /**
   * Returns variable arguments, none of which is null.
   *
   * @param name the name of the parameter
   * @throws NullPointerException if the array or an element is null; the message starts with the
   *     name
   */
  public static <T> T[] requireElements(T[] elements, String name) {
    for (Object element : requireNonNull(elements, name)) {
      if (element == null) {
        throw nullElement(name);
      }
    }
    return elements;
  }

  /**
   * Returns an unmodifiable copy of a list, none of whose elements is null.
   *
   * @param name the name of the parameter
   * @throws NullPointerException if the list or an element is null; the message starts with the
   *     name
   */
  public static <T> List<T> copyOf(List<T> list, String name) {
    return List.copyOf(requireElements(list, name));
  }

  private static NullPointerException nullElement(String name) {
    return new NullPointerException(name + " has an element that is null");
  }
}
