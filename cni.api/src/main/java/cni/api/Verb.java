// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

/** The operations of a plugin, the values of CNI_COMMAND (SPEC section 2, "CNI operations"). */
public enum Verb {
  ADD,
  DEL,
  CHECK,
  GC,
  STATUS,
  VERSION;

  /** Returns the first version of the specification with this operation. */
  public SpecVersion since() {
    return switch (this) {
      case ADD, DEL -> SpecVersion.V0_1_0;
      case VERSION -> SpecVersion.V0_2_0;
      case CHECK -> SpecVersion.V0_4_0;
      case GC, STATUS -> SpecVersion.V1_1_0;
    };
  }

  /** Returns whether the given version of the specification has this operation. */
  public boolean isDefinedIn(SpecVersion version) {
    requireNonNull(version, "version");
    return version.atLeast(since());
  }

  /**
   * Requires that the given version of the specification has this operation.
   *
   * @param version the version of a configuration
   * @throws CniException code 1 if it is older than the operation
   */
  public void requireDefinedIn(SpecVersion version) throws CniException {
    requireNonNull(version, "version");
    if (!isDefinedIn(version)) {
      throw new CniException(
          ErrorCode.INCOMPATIBLE_VERSION,
          "the configuration has cniVersion %s; %s exists since %s"
              .formatted(version, this, since()));
    }
  }
}
