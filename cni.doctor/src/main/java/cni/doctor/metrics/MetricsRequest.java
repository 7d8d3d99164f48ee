// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.CniException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.util.List;

/**
 * One request of the metrics endpoint: GET or HEAD of {@code /metrics} in HTTP/1.0 or 1.1, without
 * a body, after which the connection is closed (RFC 9112).
 *
 * @param line the words of the first line; empty if the connection ended before it
 */
record MetricsRequest(List<String> line) {
  /** More than any scraper sends in front of its request's body. */
  private static final int MAX_HEAD_BYTES = 8 << 10;

  private static final String SCHEME = "http://";

  /** Writes the response. */
  void answer(ByteChannel connection, MetricsServer.Source source) throws IOException {
    boolean isHttp = line.size() == 3 && line.get(2).startsWith("HTTP/1.");
    boolean isHead = isHttp && line.getFirst().equals("HEAD");
    if (!isHttp) {
      write(connection, "400 Bad Request", "this is no request of HTTP/1.1\n", true);
    } else if (!line.getFirst().equals("GET") && !isHead) {
      write(connection, "405 Method Not Allowed\r\nAllow: GET, HEAD", "use GET\n", true);
    } else if (!path(line.get(1)).equals("/metrics")) {
      write(connection, "404 Not Found", "metrics are at /metrics\n", !isHead);
    } else {
      writeMetrics(connection, source, !isHead);
    }
  }

  /** Returns the path of a target in origin-form or absolute-form (RFC 9112, section 3.2). */
  private static String path(String target) {
    String origin = target;
    if (target.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
      int slash = target.indexOf('/', SCHEME.length());
      origin = slash < 0 ? "/" : target.substring(slash);
    }
    int query = origin.indexOf('?');
    return query < 0 ? origin : origin.substring(0, query);
  }

  private static void writeMetrics(
      ByteChannel connection, MetricsServer.Source source, boolean withBody) throws IOException {
    String text;
    try {
      text = source.text();
    } catch (CniException e) {
      write(connection, "500 Internal Server Error", e.getMessage() + "\n", withBody);
      return;
    }
    write(connection, "200 OK", text, withBody);
  }

  /** Reads a request with its header fields, which do not matter. */
  static MetricsRequest read(ByteChannel connection) throws IOException {
    ByteBuffer head = ByteBuffer.allocate(MAX_HEAD_BYTES);
    String text = "";
    while (!text.contains("\r\n\r\n") && !text.contains("\n\n")) {
      if (!head.hasRemaining() || connection.read(head) < 0) {
        return new MetricsRequest(List.of());
      }
      text = new String(head.array(), 0, head.position(), ISO_8859_1);
    }
    String first = text.substring(0, text.indexOf('\n')).strip();
    return new MetricsRequest(List.of(first.split(" ", -1)));
  }

  private static void write(ByteChannel connection, String status, String body, boolean withBody)
      throws IOException {
    byte[] content = body.getBytes(UTF_8);
    boolean isMetrics = status.startsWith("200");
    String head =
        "HTTP/1.1 "
            + status
            + "\r\nContent-Type: "
            + (isMetrics ? MetricsText.CONTENT_TYPE : "text/plain; charset=utf-8")
            + "\r\nContent-Length: "
            + content.length
            + "\r\nConnection: close\r\n\r\n";
    ByteBuffer response = ByteBuffer.allocate(head.length() + content.length);
    response.put(head.getBytes(ISO_8859_1));
    if (withBody) {
      response.put(content);
    }
    response.flip();
    while (response.hasRemaining()) {
      connection.write(response);
    }
  }
}
