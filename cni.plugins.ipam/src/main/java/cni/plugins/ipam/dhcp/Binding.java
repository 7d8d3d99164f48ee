package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import java.net.InetAddress;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a server has granted, and for how long.
 *
 * @param result addresses, routes and resolvers
 * @param server who granted it: the server's IPv4 address, or its DUID in hexadecimal
 * @param obtained when
 * @param renewAfter when that server is asked for more time (T1)
 * @param rebindAfter when any server is asked (T2)
 * @param validFor when the addresses may not be used any more
 */
record Binding(
    Result result,
    String server,
    Instant obtained,
    Duration renewAfter,
    Duration rebindAfter,
    Duration validFor) {
  /** Longer than any machine runs, in seconds: what 0xffffffff stands for. */
  static final long FOREVER = 0xffff_ffffL;

  /**
   * Puts times in order: T1 and T2 that make no sense are half and seven eighths (RFC 2131, 4.4.5).
   *
   * @param t1 in seconds, 0 if not told
   * @param t2 in seconds, 0 if not told
   * @param valid in seconds
   */
  static Binding of(Result result, String server, long t1, long t2, long valid) {
    long lasts = Math.max(1, valid);
    boolean sound = t1 > 0 && t1 <= t2 && t2 <= lasts;
    Duration whole = Duration.ofSeconds(lasts);
    return new Binding(
        result,
        server,
        Instant.now(),
        sound ? Duration.ofSeconds(t1) : whole.dividedBy(2),
        sound ? Duration.ofSeconds(t2) : whole.multipliedBy(7).dividedBy(8),
        whole);
  }

  Instant renewal() {
    return obtained.plus(renewAfter);
  }

  Instant rebinding() {
    return obtained.plus(rebindAfter);
  }

  Instant expiry() {
    return obtained.plus(validFor);
  }

  /** The same, but over. */
  Binding over() {
    return new Binding(result, server, obtained, Duration.ZERO, Duration.ZERO, Duration.ZERO);
  }

  List<InetAddress> addresses() {
    return result.ips().stream().map(ip -> ip.address().address()).toList();
  }

  ObjectNode toJson() throws CniException {
    ObjectNode json = Json.object();
    json.set("result", ResultJson.write(result, SpecVersion.CURRENT));
    json.put("server", server);
    json.put("obtained", obtained.toString());
    json.put("renewAfter", renewAfter.toMillis());
    json.put("rebindAfter", rebindAfter.toMillis());
    json.put("validFor", validFor.toMillis());
    return json;
  }

  /**
   * Reads what {@link #toJson} wrote.
   *
   * @throws CniException code 7 if it is something else
   */
  static Binding read(ConfigObject json) throws CniException {
    return new Binding(
        ResultJson.readFrom(json, "result", SpecVersion.CURRENT).orElse(Result.EMPTY),
        json.text("server").orElse(""),
        json.parsed("obtained", Binding::instant).orElse(Instant.EPOCH),
        millis(json, "renewAfter"),
        millis(json, "rebindAfter"),
        millis(json, "validFor"));
  }

  private static Instant instant(String text) {
    try {
      return Instant.parse(text);
    } catch (DateTimeParseException e) {
      throw new IllegalArgumentException("is not a time", e);
    }
  }

  private static Duration millis(ConfigObject json, String key) throws CniException {
    return Duration.ofMillis(json.whole(key, 0, Long.MAX_VALUE).orElse(0));
  }
}
