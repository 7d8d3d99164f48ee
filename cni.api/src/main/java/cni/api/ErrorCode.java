package cni.api;

/**
 * The error codes that the specification (section 5, "Error") and the Go library reserve. Plugins
 * may use codes of 100 and above freely.
 */
public enum ErrorCode {
  /** The plugin or the runtime does not speak the configuration's version. */
  INCOMPATIBLE_VERSION(1),
  /** A key of the configuration is not supported; the message holds the key and its value. */
  UNSUPPORTED_FIELD(2),
  /** The container does not exist, so there is nothing in it to clean up. */
  UNKNOWN_CONTAINER(3),
  /** A parameter (container id, interface name, …) is missing or malformed. */
  INVALID_PARAMETER(4),
  /** Reading or writing failed. */
  IO_FAILURE(5),
  /** Bytes could not be decoded: a configuration or a result that is not what it should be. */
  DECODING_FAILURE(6),
  /** The configuration can be read but makes no sense. */
  INVALID_CONFIG(7),
  /** The namespace is not usable: not a network namespace, or the host's own. */
  INVALID_NAMESPACE(8),
  /** A transient condition; the same request may succeed later. */
  TRY_AGAIN_LATER(11),
  /** STATUS: the plugin cannot serve ADD. */
  NOT_AVAILABLE(50),
  /** STATUS: the plugin cannot serve ADD and existing containers may have limited connectivity. */
  LIMITED_CONNECTIVITY(51),
  /** Anything else that went wrong; the code the Go library gives to errors without one. */
  INTERNAL(999);

  private final int value;

  ErrorCode(int value) {
    this.value = value;
  }

  /** The number that stands in the error's {@code code} key. */
  public int value() {
    return value;
  }
}
