package cni.plugins.ipam.dhcp;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Writes values as gob: each with the definitions of those of its types that are new. */
final class GobWriter {
  /** The first number that a sender may give. */
  private static final int FIRST_USER_TYPE_ID = 65;

  private final OutputStream out;
  private final Map<GobType, Integer> typeIds = new HashMap<>();

  GobWriter(OutputStream out) {
    this.out = out;
  }

  /**
   * Writes a struct.
   *
   * @throws IOException if it cannot be sent
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
    var whole = new ByteArrayOutputStream();
    unsigned(whole, message.size());
    message.writeTo(whole);
    whole.writeTo(out);
  }

  /** The number of a type, which is defined first if it is new. */
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
          default -> throw new IllegalArgumentException("not written: " + type);
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
      default -> throw new IllegalArgumentException("not written: " + type);
    }
  }

  private static void basic(ByteArrayOutputStream to, GobType.Basic type, Object value) {
    switch (type) {
      case INT -> signed(to, (Long) value);
      case UINT -> unsigned(to, (Long) value);
      case BYTES -> bytes(to, (byte[]) value);
      case STRING -> bytes(to, ((String) value).getBytes(StandardCharsets.UTF_8));
      default -> throw new IllegalArgumentException("not written: " + type);
    }
  }

  /** Fields are told by how far each is from the one before; what is zero is left out. */
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

  /** What a pointer leads to is written even if it is zero: by its absence it would be nil. */
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

  /** Below 128 one byte; otherwise the number of bytes, negated, and those, the highest first. */
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
