package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import java.net.InetAddress;
import java.time.Duration;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a server has granted, and for how long.
 *
 * @param result addresses, routes and resolvers
 * @param server who granted it: the server's IPv4 address, or its DUID in hexadecimal
 * @param bootId which start of the machine {@code obtained} counts from
 * @param obtained when, on the {@link BootClock}
 * @param renewAfter when that server is asked for more time (T1)
 * @param rebindAfter when any server is asked (T2)
 * @param validFor when the addresses may not be used any more; zero once they are not
 */
record Binding(
    Result result,
    String server,
    String bootId,
    Duration obtained,
    Duration renewAfter,
    Duration rebindAfter,
    Duration validFor) {
  /** Longer than any machine runs, in seconds: what 0xffffffff stands for. */
  static final long FOREVER = 0xffff_ffffL;

  /**
   * A binding of now. T1 and T2 that are not told or make no sense are half and seven eighths of
   * the time (RFC 2131, 4.4.5).
   *
   * @param t1 in seconds, 0 if not told
   * @param t2 in seconds, 0 if not told
   * @param valid in seconds
   */
  static Binding of(Result result, String server, long t1, long t2, long valid) {
    Duration whole = Duration.ofSeconds(Math.max(1, valid));
    Duration second = Duration.ofSeconds(t2);
    boolean secondIsSound = t2 > 0 && second.compareTo(whole) <= 0;
    Duration rebind = secondIsSound ? second : whole.multipliedBy(7).dividedBy(8);
    Duration first = Duration.ofSeconds(t1);
    boolean firstIsSound = t1 > 0 && first.compareTo(rebind) <= 0;
    Duration half = whole.dividedBy(2);
    Duration renew = firstIsSound ? first : half.compareTo(rebind) < 0 ? half : rebind;
    return new Binding(result, server, BootClock.bootId(), BootClock.now(), renew, rebind, whole);
  }

  /** No binding yet. */
  static Binding none() {
    return of(Result.EMPTY, "", 0, 0, 0).ended();
  }

  /** Negative once it should have been asked for. */
  Duration untilRenewal() {
    return until(renewAfter);
  }

  Duration untilRebinding() {
    return until(rebindAfter);
  }

  Duration untilExpiry() {
    return until(validFor);
  }

  private Duration until(Duration after) {
    boolean thisBoot = bootId.equals(BootClock.bootId());
    return thisBoot ? obtained.plus(after).minus(BootClock.now()) : Duration.ofSeconds(-1);
  }

  /** The same, but over, and nobody uses the addresses any more. */
  Binding ended() {
    Duration zero = Duration.ZERO;
    return new Binding(result, server, bootId, obtained, zero, zero, zero);
  }

  /** Whether it has been ended by {@link #ended}. */
  boolean isEnded() {
    return validFor.isZero();
  }

  List<InetAddress> addresses() {
    return result.ips().stream().map(ip -> ip.address().address()).toList();
  }

  ObjectNode toJson() throws CniException {
    ObjectNode json = Json.object();
    json.set("result", ResultJson.write(result, SpecVersion.CURRENT));
    json.put("server", server);
    json.put("boot", bootId);
    json.put("obtained", obtained.toMillis());
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
        json.text("boot").orElse(""),
        millis(json, "obtained"),
        millis(json, "renewAfter"),
        millis(json, "rebindAfter"),
        millis(json, "validFor"));
  }

  private static Duration millis(ConfigObject json, String key) throws CniException {
    return Duration.ofMillis(json.longInteger(key, 0, Long.MAX_VALUE).orElse(0));
  }
}
