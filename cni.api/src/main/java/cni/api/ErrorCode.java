// SPDX-License-Identifier: Apache-2.0
package cni.api;

/**
 * The error codes that the specification (section 5, "Error") and the Go library reserve. Codes of
 * 100 and above are plugin-specific.
 */
public enum ErrorCode {
  /** The plugin or the runtime does not support the configuration's version. */
  INCOMPATIBLE_VERSION(1),
  /** A configuration key is not supported; the message must contain the key and its value. */
  UNSUPPORTED_FIELD(2),
  /** The container does not exist; the runtime need not clean up. */
  UNKNOWN_CONTAINER(3),
  /** A parameter, such as the container id or interface name, is missing or malformed. */
  INVALID_PARAMETER(4),
  /** Reading or writing failed. */
  IO_FAILURE(5),
  /** Content could not be decoded, such as JSON, a version or a result. */
  DECODING_FAILURE(6),
  /** The configuration is well-formed JSON, but invalid. */
  INVALID_CONFIG(7),
  /** The path is not a usable network namespace, or is the host's. */
  INVALID_NAMESPACE(8),
  /** A transient condition: the same request may succeed later. */
  TRY_AGAIN_LATER(11),
  /** STATUS: the plugin cannot serve ADD. */
  NOT_AVAILABLE(50),
  /** STATUS: the plugin cannot serve ADD and existing containers may have limited connectivity. */
  LIMITED_CONNECTIVITY(51),
  /** Any other failure; the code that the Go library gives to errors without one. */
  INTERNAL(999);

  private final int value;

  ErrorCode(int value) {
    this.value = value;
  }

  /** Returns the number for the {@code code} key of an error. */
  public int value() {
    return value;
  }
}
