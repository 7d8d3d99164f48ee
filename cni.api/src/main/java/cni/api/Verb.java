package cni.api;

/** What a plugin can be asked to do (SPEC section 2, "CNI operations"). */
public enum Verb {
  ADD,
  DEL,
  CHECK,
  GC,
  STATUS,
  VERSION;

  /** The version of the specification that brought it. */
  public SpecVersion since() {
    return switch (this) {
      case ADD, DEL -> SpecVersion.V0_1_0;
      case VERSION -> SpecVersion.V0_2_0;
      case CHECK -> SpecVersion.V0_4_0;
      case GC, STATUS -> SpecVersion.V1_1_0;
    };
  }

  /** Whether a configuration of that version may be used with it. */
  public boolean isDefinedIn(SpecVersion version) {
    return version.atLeast(since());
  }

  /**
   * Requires that a configuration of that version may be used with it.
   *
   * @throws CniException code 1 if the version is too old
   */
  public void requireDefinedIn(SpecVersion version) throws CniException {
    if (!isDefinedIn(version)) {
      throw new CniException(
          ErrorCode.INCOMPATIBLE_VERSION,
          "the configuration has cniVersion %s; %s exists since %s"
              .formatted(version, this, since()));
    }
  }
}
