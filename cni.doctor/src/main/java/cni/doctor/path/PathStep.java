// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import java.util.List;

/**
 * A step of the path of a packet.
 *
 * @param place where: {@code host}, or the name of a container
 * @param stage what happens there
 * @param state whether the packet passes
 * @param text the interface, route or address
 * @param rules what rules of nf_tables decided about the packet here
 */
public record PathStep(String place, Stage stage, State state, String text, List<String> rules) {
  /** Copies the list. */
  public PathStep {
    rules = List.copyOf(rules);
  }

  /** What happens to the packet. */
  public enum Stage {
    /** The source sends it. */
    SEND,
    /** It crosses a link to another namespace. */
    LINK,
    /** A bridge passes it from port to port. */
    BRIDGE,
    /** Its destination address is translated. */
    TRANSLATE,
    /** A namespace routes it from one interface to another. */
    FORWARD,
    /** It leaves what can be seen. */
    LEAVE,
    /** It is delivered. */
    RECEIVE,
    /** The answer comes back. */
    ANSWER
  }

  /** Whether the packet passes. */
  public enum State {
    /** It does. */
    PASSED,
    /** It is stopped here. */
    FAILED,
    /** It is stopped before. */
    NOT_REACHED
  }

  PathStep with(State newState) {
    return new PathStep(place, stage, newState, text, rules);
  }

  PathStep withRules(List<String> newRules) {
    return new PathStep(place, stage, state, text, newRules);
  }
}
