// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Decoder of gob (Go's encoding/gob), for any types that the sender defines. */
final class GobReader {
  private static final int MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
  private static final int MAX_DEPTH = 32;

  /** Bounds the memory that a message can take: a value of one byte may become 100 bytes. */
  private static final int MAX_VALUES = 200_000;

  private final InputStream in;
  private final Map<Integer, GobType> definedTypes = new HashMap<>();

  /** The number of values that have been read of the present message. */
  private int values;

  GobReader(InputStream in) {
    this.in = in;
  }

  /**
   * Reads the next struct.
   *
   * @return the fields by name; fields with a zero value are missing
   * @throws EOFException at the end of the stream
   * @throws IOException if the stream is not valid gob, or the value is not a struct
   */
  Map<String, Object> read() throws IOException {
    while (true) {
      ByteBuffer message = readMessage();
      values = 0;
      try {
        long typeId = signed(message);
        if (typeId < 0) {
          define((int) -typeId, fields(readValue(message, GobSchema.WIRE_TYPE, 0)));
          continue;
        }
        GobType type = typeById((int) typeId);
        if (!(type instanceof GobType.Struct)) {
          throw new IOException("gob: a struct was expected, not " + type);
        }
        return fields(readValue(message, type, 0));
      } catch (BufferUnderflowException e) {
        throw new IOException("gob: a value extends beyond its message", e);
      }
    }
  }

  private ByteBuffer readMessage() throws IOException {
    long length = readLength();
    if (length < 0 || length > MAX_MESSAGE_BYTES) {
      throw new IOException("gob: a message of " + length + " bytes");
    }
    byte[] bytes = in.readNBytes((int) length);
    if (bytes.length < length) {
      throw new EOFException("gob: the stream ends within a message");
    }
    return ByteBuffer.wrap(bytes);
  }

  private long readLength() throws IOException {
    int first = in.read();
    if (first < 0) {
      throw new EOFException("gob: the stream has ended");
    }
    if (first < 0x80) {
      return first;
    }
    int count = 0x100 - first;
    byte[] bytes = in.readNBytes(count);
    if (count > 8 || bytes.length < count) {
      throw new IOException("gob: malformed length");
    }
    long value = 0;
    for (byte b : bytes) {
      value = value << 8 | Byte.toUnsignedLong(b);
    }
    return value;
  }

  private static long unsigned(ByteBuffer in) throws IOException {
    int first = Byte.toUnsignedInt(in.get());
    if (first < 0x80) {
      return first;
    }
    int count = 0x100 - first;
    if (count > 8) {
      throw new IOException("gob: malformed number");
    }
    long value = 0;
    for (int i = 0; i < count; i++) {
      value = value << 8 | Byte.toUnsignedLong(in.get());
    }
    return value;
  }

  private static long signed(ByteBuffer in) throws IOException {
    long value = unsigned(in);
    return (value & 1) == 0 ? value >>> 1 : ~(value >>> 1);
  }

  private GobType typeById(int id) throws IOException {
    for (GobType.Basic basic : GobType.Basic.values()) {
      if (basic.id() == id) {
        return basic;
      }
    }
    GobType type = definedTypes.get(id);
    if (type == null) {
      throw new IOException("gob: type " + id + " has not been defined");
    }
    return type;
  }

  @SuppressWarnings("unchecked") // readValue returns structs as such maps
  private static Map<String, Object> fields(Object struct) {
    return (Map<String, Object>) struct;
  }

  private void define(int id, Map<String, Object> definition) throws IOException {
    for (Map.Entry<String, Object> entry : definition.entrySet()) {
      Map<String, Object> of = fields(entry.getValue());
      definedTypes.put(
          id,
          switch (entry.getKey()) {
            case "ArrayT", "SliceT" -> new GobType.Slice(reference(of, "Elem"));
            case "MapT" -> new GobType.Mapping(reference(of, "Key"), reference(of, "Elem"));
            case "StructT" -> struct(of);
            default -> new GobType.Opaque();
          });
    }
  }

  private static GobType reference(Map<String, Object> of, String key) throws IOException {
    if (of.get(key) instanceof Long number) {
      return new GobType.Reference(number.intValue());
    }
    throw new IOException("gob: a type definition without " + key);
  }

  private static GobType struct(Map<String, Object> of) throws IOException {
    List<GobType.Field> fields = new ArrayList<>();
    if (of.get("Field") instanceof List<?> list) {
      for (Object it : list) {
        Map<String, Object> field = fields(it);
        fields.add(
            new GobType.Field(
                String.valueOf(field.getOrDefault("Name", "")), reference(field, "Id")));
      }
    }
    return new GobType.Struct("", fields);
  }

  private Object readValue(ByteBuffer in, GobType type, int depth) throws IOException {
    if (depth > MAX_DEPTH) {
      throw new IOException("gob: nested too deep");
    }
    if (++values > MAX_VALUES) {
      throw new IOException("gob: a message has more than " + MAX_VALUES + " values");
    }
    return switch (type) {
      case GobType.Basic basic -> readBasic(in, basic);
      case GobType.Opaque _ -> readBytes(in);
      case GobType.Reference(int id) -> readValue(in, typeById(id), depth + 1);
      case GobType.Slice(GobType element) -> {
        long count = readCount(in);
        List<Object> elements = new ArrayList<>();
        for (long i = 0; i < count; i++) {
          elements.add(readValue(in, element, depth + 1));
        }
        yield elements;
      }
      case GobType.Mapping(GobType key, GobType value) -> {
        long count = readCount(in);
        Map<Object, Object> entries = new LinkedHashMap<>();
        for (long i = 0; i < count; i++) {
          entries.put(readValue(in, key, depth + 1), readValue(in, value, depth + 1));
        }
        yield entries;
      }
      case GobType.Struct(String _, List<GobType.Field> fields) -> struct(in, fields, depth);
    };
  }

  /**
   * Reads a length, which cannot exceed the remaining bytes as every element takes at least one.
   */
  private static long readCount(ByteBuffer in) throws IOException {
    long count = unsigned(in);
    if (count < 0 || count > in.remaining()) {
      throw new IOException("gob: more elements than bytes");
    }
    return count;
  }

  private Map<String, Object> struct(ByteBuffer in, List<GobType.Field> fields, int depth)
      throws IOException {
    Map<String, Object> values = new LinkedHashMap<>();
    long index = -1;
    long delta = unsigned(in);
    while (delta != 0) {
      index += delta;
      if (delta < 0 || index >= fields.size()) {
        throw new IOException("gob: the struct has no field " + index);
      }
      GobType.Field field = fields.get((int) index);
      values.put(field.name(), readValue(in, field.type(), depth + 1));
      delta = unsigned(in);
    }
    return values;
  }

  private static Object readBasic(ByteBuffer in, GobType.Basic type) throws IOException {
    return switch (type) {
      case BOOL -> unsigned(in) != 0;
      case INT -> signed(in);
      case UINT, FLOAT -> unsigned(in);
      case COMPLEX -> List.of(unsigned(in), unsigned(in));
      case BYTES -> readBytes(in);
      case STRING -> new String(readBytes(in), StandardCharsets.UTF_8);
    };
  }

  private static byte[] readBytes(ByteBuffer in) throws IOException {
    byte[] bytes = new byte[(int) readCount(in)];
    in.get(bytes);
    return bytes;
  }
}
