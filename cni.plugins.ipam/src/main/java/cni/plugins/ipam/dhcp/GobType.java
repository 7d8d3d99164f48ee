package cni.plugins.ipam.dhcp;

import java.util.List;

/**
 * The types of gob, the encoding of Go's encoding/gob package. Values are told by Java's: Boolean,
 * Long, String, byte[], List, and a Map by the names of fields, which leaves out those that are
 * zero.
 */
sealed interface GobType {
  /** A type that both sides know, by its number. */
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

  /** A slice, or an array, which is written the same way. */
  record Slice(GobType element) implements GobType {}

  /** A map. */
  record Mapping(GobType key, GobType value) implements GobType {}

  /** A struct; its name is for people. */
  record Struct(String name, List<Field> fields) implements GobType {}

  /** Bytes that a type of Go's encodes itself. */
  record Opaque() implements GobType {}

  /** A type that the sender defined, by its number. */
  record Reference(int id) implements GobType {}

  /** A field of a struct. */
  record Field(String name, GobType type) {}

  /** A field of a struct. */
  static Field field(String name, GobType type) {
    return new Field(name, type);
  }

  /** A struct. */
  static Struct struct(String name, Field... fields) {
    return new Struct(name, List.of(fields));
  }
}
