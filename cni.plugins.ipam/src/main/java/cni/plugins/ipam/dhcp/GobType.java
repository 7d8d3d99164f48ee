// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import java.util.List;

/**
 * The types of gob, the encoding of Go's package encoding/gob. In Java their values are Boolean,
 * Long, String, byte[], List, and for structs a Map from field name to value, without the fields
 * that have the zero value.
 */
sealed interface GobType {
  /** A predefined type, with its id. */
  enum Basic implements GobType {
    BOOL(1),
    INT(2),
    UINT(3),
    FLOAT(4),
    BYTES(5),
    STRING(6),
    COMPLEX(7);

    private final int id;

    Basic(int number) {
      this.id = number;
    }

    int id() {
      return id;
    }
  }

  /** A slice or an array, which have the same encoding. */
  record Slice(GobType element) implements GobType {}

  /** A map. */
  record Mapping(GobType key, GobType value) implements GobType {}

  /** A struct; the name is informative. */
  record Struct(String name, List<Field> fields) implements GobType {}

  /** A Go type that defines its own encoding (GobEncoder), which is read as bytes. */
  record Opaque() implements GobType {}

  /** A type that the sender has defined, by its id. */
  record Reference(int id) implements GobType {}

  /** A field of a struct. */
  record Field(String name, GobType type) {}

  /** Returns a field of a struct. */
  static Field field(String name, GobType type) {
    return new Field(name, type);
  }

  /** Returns a struct type. */
  static Struct struct(String name, Field... fields) {
    return new Struct(name, List.of(fields));
  }
}
