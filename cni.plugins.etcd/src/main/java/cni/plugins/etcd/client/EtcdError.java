// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.CniException;
import cni.api.Json;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * An error of the gateway.
 *
 * @param kind what it means for the client
 * @param message etcd's message, with a remedy where there is one
 */
record EtcdError(Kind kind, String message) {
  /** In characters of an answer that is no JSON. */
  private static final int MAX_QUOTED = 120;

  // Codes of gRPC (google.golang.org/grpc/codes).
  private static final int INVALID_ARGUMENT = 3;
  private static final int PERMISSION_DENIED = 7;
  private static final int RESOURCE_EXHAUSTED = 8;
  private static final int OUT_OF_RANGE = 11;
  private static final int UNAUTHENTICATED = 16;

  /** Canceled, unknown, deadline exceeded, internal, unavailable. */
  private static final Set<Integer> TRANSIENT = Set.of(1, 2, 4, 13, 14);

  private static final int HTTP_ERROR = 500;

  /** What an error means for the client. */
  enum Kind {
    /** The request lacks a valid token. */
    NO_TOKEN,
    /** The same request may succeed at another member or later. */
    TRANSIENT,
    /** The endpoint is something else than etcd with a gateway. */
    NOT_A_GATEWAY,
    /** The user may not do this. */
    REFUSED_USER,
    /** The revision to read has been compacted. */
    COMPACTED,
    /** Any other error. */
    OTHER
  }

  /** Parses an answer whose status is not 200: {@code {"message": "…", "code": 14}}. */
  static EtcdError parse(int status, byte[] body) {
    ObjectNode json;
    try {
      json = Json.parse(body, "the answer");
    } catch (CniException e) {
      return ofText(status, new String(body, StandardCharsets.UTF_8).strip());
    }
    JsonNode error = json.path("error");
    if (error.isObject()) { // of a stream: {"error": {"message": "…", "grpc_code": 14}}
      return of(status, error.path("grpc_code").asInt(-1), error.path("message").asString(""));
    }
    String message = json.path("message").asString(error.asString(""));
    return of(status, json.path("code").asInt(-1), message);
  }

  /** Returns the error of an answer that is no JSON. */
  private static EtcdError ofText(int status, String text) {
    if (text.startsWith("CommonName of client")) { // ServeHTTP of embed/serve.go
      return new EtcdError(
          Kind.REFUSED_USER,
          text
              + "; use a certificate without a common name (CN) in ipam.tls.cert, and set ipam.user"
              + " and its password: etcd's gateway does not authenticate users by certificates");
    }
    return new EtcdError(
        status >= HTTP_ERROR ? Kind.TRANSIENT : Kind.NOT_A_GATEWAY,
        "HTTP status %d %s"
            .formatted(status, Json.quote(text.substring(0, Math.min(text.length(), MAX_QUOTED)))));
  }

  private static EtcdError of(int status, int code, String text) {
    String message = text.isEmpty() ? "HTTP status " + status : text;
    if (code == UNAUTHENTICATED
        || message.contains("auth store is old")
        || message.contains("user name is empty")) {
      return new EtcdError(Kind.NO_TOKEN, message);
    }
    if (code == PERMISSION_DENIED) {
      return new EtcdError(
          Kind.REFUSED_USER,
          message
              + "; grant the user (ipam.user) reading and writing of the keys below"
              + " ipam.prefix");
    }
    if (code == INVALID_ARGUMENT && message.contains("authentication failed")) {
      return new EtcdError(
          Kind.REFUSED_USER, message + "; check ipam.user and ipam.password or passwordFile");
    }
    if (code == RESOURCE_EXHAUSTED) {
      return message.contains("database space exceeded")
          ? new EtcdError(
              Kind.OTHER,
              message
                  + "; compact and defragment it, then run \"etcdctl alarm disarm\""
                  + " (etcd documentation, \"Maintenance\")")
          : new EtcdError(Kind.TRANSIENT, message);
    }
    if (code == OUT_OF_RANGE && message.contains("revision has been compacted")) {
      return new EtcdError(Kind.COMPACTED, message);
    }
    if (TRANSIENT.contains(code) || (code < 0 && status >= HTTP_ERROR)) {
      return new EtcdError(Kind.TRANSIENT, message);
    }
    return new EtcdError(code < 0 ? Kind.NOT_A_GATEWAY : Kind.OTHER, message);
  }

  /** Returns whether etcd has no authentication, so that there is no token. */
  boolean isAuthenticationDisabled() {
    return message.contains("authentication is not enabled");
  }
}
