// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A file for TLS cannot be read or is invalid. */
public final class TlsFileException extends Exception {
  private static final long serialVersionUID = 1;

  private final String key;

  @SuppressWarnings("serial") // those of the default file system are
  private final Path file;

  TlsFileException(String key, Path file, String reason, @Nullable Throwable cause) {
    super(reason, cause);
    this.key = key;
    this.file = file;
  }

  /** Returns the key of {@code ipam.tls} that names the file. */
  public String key() {
    return key;
  }

  Path file() {
    return file;
  }

  /**
   * Returns the reason and the remedy, which continue the sentence that begins with the file's
   * name.
   */
  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }
}
