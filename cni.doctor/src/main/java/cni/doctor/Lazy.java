// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import java.io.IOException;
import java.util.Optional;

/** A value that is read once, when it is first needed. A failure is not kept. */
final class Lazy<T> {
  /** Reads the value. */
  interface Source<T> {
    T read() throws IOException, CniException;
  }

  private final Source<T> source;
  private Optional<T> value = Optional.empty();

  Lazy(Source<T> source) {
    this.source = source;
  }

  T get() throws IOException, CniException {
    if (value.isEmpty()) {
      value = Optional.of(source.read());
    }
    return value.get();
  }
}
