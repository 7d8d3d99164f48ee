// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static cni.plugins.ipam.dhcp.GobType.field;
import static cni.plugins.ipam.dhcp.GobType.struct;

import cni.plugins.ipam.dhcp.GobType.Basic;
import cni.plugins.ipam.dhcp.GobType.Slice;
import cni.plugins.ipam.dhcp.GobType.Struct;

/**
 * The structs that the reference daemon and its clients exchange: of gob itself, of net/rpc, and of
 * the CNI library. The receiver matches fields by name and ignores unknown ones.
 */
final class GobSchema {
  private static final Struct COMMON_TYPE =
      struct("CommonType", field("Name", Basic.STRING), field("Id", Basic.INT));
  private static final Struct ARRAY_TYPE =
      struct(
          "ArrayType",
          field("CommonType", COMMON_TYPE),
          field("Elem", Basic.INT),
          field("Len", Basic.INT));
  private static final Struct FIELD_TYPE =
      struct("FieldType", field("Name", Basic.STRING), field("Id", Basic.INT));
  private static final Struct STRUCT_TYPE =
      struct("StructType", field("CommonType", COMMON_TYPE), field("Field", new Slice(FIELD_TYPE)));
  private static final Struct MAP_TYPE =
      struct(
          "MapType",
          field("CommonType", COMMON_TYPE),
          field("Key", Basic.INT),
          field("Elem", Basic.INT));
  private static final Struct GOB_ENCODER_TYPE =
      struct("GobEncoderType", field("CommonType", COMMON_TYPE));

  /** The struct that defines a type. */
  static final Struct WIRE_TYPE =
      struct(
          "WireType",
          field("ArrayT", ARRAY_TYPE),
          field("SliceT", ARRAY_TYPE),
          field("StructT", STRUCT_TYPE),
          field("MapT", MAP_TYPE),
          field("GobEncoderT", GOB_ENCODER_TYPE),
          field("BinaryMarshalerT", GOB_ENCODER_TYPE),
          field("TextMarshalerT", GOB_ENCODER_TYPE));

  /** Precedes the argument of a call. */
  static final Struct REQUEST =
      struct("Request", field("ServiceMethod", Basic.STRING), field("Seq", Basic.UINT));

  /** Precedes the result of a call. */
  static final Struct RESPONSE =
      struct(
          "Response",
          field("ServiceMethod", Basic.STRING),
          field("Seq", Basic.UINT),
          field("Error", Basic.STRING));

  /** The result of calls that return nothing or fail. */
  static final Struct EMPTY = struct("");

  /** The argument of every call: skel.CmdArgs. */
  static final Struct CMD_ARGS =
      struct(
          "CmdArgs",
          field("ContainerID", Basic.STRING),
          field("Netns", Basic.STRING),
          field("IfName", Basic.STRING),
          field("Args", Basic.STRING),
          field("Path", Basic.STRING),
          field("NetnsOverride", Basic.STRING),
          field("StdinData", Basic.BYTES));

  private static final Struct IP_NET =
      struct("IPNet", field("IP", Basic.BYTES), field("Mask", Basic.BYTES));
  private static final Struct IP_CONFIG =
      struct(
          "IPConfig",
          field("Interface", Basic.INT),
          field("Address", IP_NET),
          field("Gateway", Basic.BYTES));
  private static final Struct ROUTE =
      struct(
          "Route",
          field("Dst", IP_NET),
          field("GW", Basic.BYTES),
          field("MTU", Basic.INT),
          field("AdvMSS", Basic.INT),
          field("Priority", Basic.INT),
          field("Table", Basic.INT),
          field("Scope", Basic.INT));
  private static final Slice STRINGS = new Slice(Basic.STRING);
  private static final Struct DNS =
      struct(
          "DNS",
          field("Nameservers", STRINGS),
          field("Domain", Basic.STRING),
          field("Search", STRINGS),
          field("Options", STRINGS));

  /** Result of the library's package types/100. */
  static final Struct RESULT =
      struct(
          "Result",
          field("CNIVersion", Basic.STRING),
          field("IPs", new Slice(IP_CONFIG)),
          field("Routes", new Slice(ROUTE)),
          field("DNS", DNS));

  private GobSchema() {}
}
