// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Encoder of gob (Go's encoding/gob); defines each type before its first value. */
final class GobWriter {
  /** The lowest id for types that a sender defines. */
  private static final int FIRST_USER_TYPE_ID = 65;

  private final OutputStream out;
  private final Map<GobType, Integer> typeIds = new HashMap<>();

  GobWriter(OutputStream out) {
    this.out = out;
  }

  /**
   * Writes a struct.
   *
   * @param value the fields by name; missing ones have the zero value
   * @throws IOException if the stream cannot be written
   */
  void write(GobType.Struct type, Map<String, ?> value) throws IOException {
    int number = typeId(type);
    var message = new ByteArrayOutputStream();
    signed(message, number);
    value(message, type, value);
    send(message);
    out.flush();
  }

  private void send(ByteArrayOutputStream message) throws IOException {
    var framed = new ByteArrayOutputStream();
    unsigned(framed, message.size());
    message.writeTo(framed);
    framed.writeTo(out);
  }

  /** Returns the id of a type; sends its definition if it is new. */
  private int typeId(GobType type) throws IOException {
    if (type instanceof GobType.Basic basic) {
      return basic.id();
    }
    Integer known = typeIds.get(type);
    if (known != null) {
      return known;
    }
    int number = FIRST_USER_TYPE_ID + typeIds.size();
    typeIds.put(type, number);
    Map<String, Object> definition =
        switch (type) {
          case GobType.Slice(GobType element) -> {
            int elementNumber = typeId(element);
            yield Map.of(
                "SliceT",
                Map.of("CommonType", Map.of("Id", (long) number), "Elem", (long) elementNumber));
          }
          case GobType.Struct struct -> {
            List<Map<String, Object>> fields = new ArrayList<>();
            for (GobType.Field field : struct.fields()) {
              fields.add(Map.of("Name", field.name(), "Id", (long) typeId(field.type())));
            }
            yield Map.of(
                "StructT",
                Map.of(
                    "CommonType",
                    Map.of("Name", struct.name(), "Id", (long) number),
                    "Field",
                    fields));
          }
          default -> throw new IllegalArgumentException("cannot be encoded: " + type);
        };
    var message = new ByteArrayOutputStream();
    signed(message, -number);
    value(message, GobSchema.WIRE_TYPE, definition);
    send(message);
    return number;
  }

  private static void value(ByteArrayOutputStream to, GobType type, Object value) {
    switch (type) {
      case GobType.Basic basic -> basic(to, basic, value);
      case GobType.Slice(GobType element) -> {
        List<?> elements = (List<?>) value;
        unsigned(to, elements.size());
        elements.forEach(it -> value(to, element, it));
      }
      case GobType.Struct(String _, List<GobType.Field> fields) ->
          struct(to, fields, (Map<?, ?>) value);
      default -> throw new IllegalArgumentException("cannot be encoded: " + type);
    }
  }

  private static void basic(ByteArrayOutputStream to, GobType.Basic type, Object value) {
    switch (type) {
      case INT -> signed(to, (Long) value);
      case UINT -> unsigned(to, (Long) value);
      case BYTES -> bytes(to, (byte[]) value);
      case STRING -> bytes(to, ((String) value).getBytes(StandardCharsets.UTF_8));
      default -> throw new IllegalArgumentException("cannot be encoded: " + type);
    }
  }

  /** Writes each field as the distance from the previous one and its value; omits zero values. */
  private static void struct(
      ByteArrayOutputStream to, List<GobType.Field> fields, Map<?, ?> values) {
    int last = -1;
    for (int i = 0; i < fields.size(); i++) {
      Object value = values.get(fields.get(i).name());
      if (value != null && !isZero(value)) {
        unsigned(to, i - last);
        value(to, fields.get(i).type(), value);
        last = i;
      }
    }
    unsigned(to, 0);
  }

  /** Numbers and structs are written even if zero: omitted, the field of a pointer would be nil. */
  private static boolean isZero(Object value) {
    return value.equals("")
        || (value instanceof byte[] bytes && bytes.length == 0)
        || (value instanceof List<?> list && list.isEmpty());
  }

  private static void bytes(ByteArrayOutputStream to, byte[] value) {
    unsigned(to, value.length);
    to.writeBytes(value);
  }

  private static void signed(ByteArrayOutputStream to, long value) {
    unsigned(to, value < 0 ? ~value << 1 | 1 : value << 1);
  }

  /** Writes one byte below 128, otherwise the negated number of bytes and the bytes, big-endian. */
  private static void unsigned(ByteArrayOutputStream to, long value) {
    if (value >= 0 && value < 0x80) {
      to.write((int) value);
      return;
    }
    int length = (71 - Long.numberOfLeadingZeros(value)) / 8;
    to.write(-length);
    for (int i = length - 1; i >= 0; i--) {
      to.write((int) (value >>> (8 * i)));
    }
  }
}
