// SPDX-License-Identifier: Apache-2.0
package cni.api;

import java.util.HashSet;
import java.util.Set;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * An object in whose text a key appears more than once. Its value is the last one, as for Go's
 * encoding/json, and this is what is passed on to executables; {@link ConfigObject} refuses to read
 * such a key. Objects without repeated keys, that is nearly all, are plain nodes, so that the check
 * costs nothing.
 */
final class RepeatedKeysNode extends ObjectNode {
  private static final long serialVersionUID = 1L;

  private final HashSet<String> repeated = new HashSet<>();

  private RepeatedKeysNode(ObjectNode content) {
    super(JsonNodeFactory.instance);
    setAll(content);
  }

  /** Returns the object, or a copy of it, with one more repeated key. */
  static RepeatedKeysNode add(ObjectNode object, String key) {
    RepeatedKeysNode node =
        object instanceof RepeatedKeysNode it ? it : new RepeatedKeysNode(object);
    node.repeated.add(key);
    return node;
  }

  /** Returns the content, marked with the repeated keys of the source, if it has any. */
  static ObjectNode mark(ObjectNode content, ObjectNode source) {
    if (!(source instanceof RepeatedKeysNode it)) {
      return content;
    }
    var node = new RepeatedKeysNode(content);
    node.repeated.addAll(it.repeated);
    return node;
  }

  /** Returns whether the object's text has the key more than once, in any case of its letters. */
  static boolean repeats(ObjectNode object, String key) {
    return object instanceof RepeatedKeysNode node
        && node.repeated.stream().anyMatch(key::equalsIgnoreCase);
  }

  /** Returns the keys that the object's text has more than once. */
  static Set<String> of(ObjectNode object) {
    return object instanceof RepeatedKeysNode node ? node.repeated : Set.of();
  }

  @Override
  public ObjectNode deepCopy() {
    return mark(super.deepCopy(), this);
  }
}
