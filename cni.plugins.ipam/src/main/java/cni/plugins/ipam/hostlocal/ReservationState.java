// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.internal.IoErrors;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;

/** What the file of an address says about it. */
sealed interface ReservationState {
  /** The address is free: it has no file, or an incomplete one. */
  record Free() implements ReservationState {}

  /** The address is reserved. */
  record Held(ReservationHolder holder) implements ReservationState {}

  /**
   * The address counts as reserved by an unknown holder, as for the reference plugin: its file is a
   * directory, FIFO, socket or symbolic link, or cannot be read.
   *
   * @param reason why it cannot be read, with the file's path
   */
  record Unreadable(String reason) implements ReservationState {}

  /** Reads the file of an address. */
  static ReservationState read(Path file) {
    try {
      String text = new String(RegularFiles.readState(file), StandardCharsets.UTF_8);
      Optional<ReservationHolder> holder = ReservationHolder.parse(text);
      return holder.isPresent() ? new Held(holder.get()) : new Free();
    } catch (NoSuchFileException e) {
      return new Free();
    } catch (IOException e) {
      return new Unreadable(file + ": " + IoErrors.reason(e));
    }
  }

  /** Returns the holder; absent if the address is free or its holder unknown. */
  default Optional<ReservationHolder> knownHolder() {
    return this instanceof Held held ? Optional.of(held.holder()) : Optional.empty();
  }
}
