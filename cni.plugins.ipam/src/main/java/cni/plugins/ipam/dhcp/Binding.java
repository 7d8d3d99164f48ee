// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.internal.BootClock;
import java.net.InetAddress;
import java.time.Duration;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a server has granted, and for how long. Durations count from {@code obtained}.
 *
 * @param result the addresses, routes and resolver settings
 * @param server the server's IPv4 address, or its DUID in hexadecimal; empty if unknown
 * @param bootId the boot that {@code obtained} refers to
 * @param obtained the time of the grant, on the {@link BootClock}
 * @param renewAfter when to ask that server for an extension (T1)
 * @param rebindAfter when to ask any server (T2)
 * @param validFor when the addresses expire; zero if the binding has been ended
 */
record Binding(
    Result result,
    String server,
    String bootId,
    Duration obtained,
    Duration renewAfter,
    Duration rebindAfter,
    Duration validFor) {
  /** The lifetime "infinity" in seconds (RFC 2131, section 3.3; RFC 8415, section 7.7). */
  static final long FOREVER = 0xffff_ffffL;

  /**
   * Returns a binding that starts now. Missing or inconsistent T1 and T2 default to half and seven
   * eighths of the lifetime (RFC 2131, section 4.4.5).
   *
   * @param t1 in seconds, 0 if missing
   * @param t2 in seconds, 0 if missing
   * @param valid in seconds
   */
  static Binding of(Result result, String server, long t1, long t2, long valid) {
    Duration lifetime = Duration.ofSeconds(Math.max(1, valid));
    Duration t2Time = Duration.ofSeconds(t2);
    boolean isT2Valid = t2 > 0 && t2Time.compareTo(lifetime) <= 0;
    Duration rebind = isT2Valid ? t2Time : lifetime.multipliedBy(7).dividedBy(8);
    Duration t1Time = Duration.ofSeconds(t1);
    boolean isT1Valid = t1 > 0 && t1Time.compareTo(rebind) <= 0;
    Duration half = lifetime.dividedBy(2);
    Duration renew = isT1Valid ? t1Time : half.compareTo(rebind) < 0 ? half : rebind;
    return new Binding(
        result, server, BootClock.bootId(), BootClock.now(), renew, rebind, lifetime);
  }

  /** Returns the placeholder of a lease that has not been granted yet. */
  static Binding none() {
    return of(Result.EMPTY, "", 0, 0, 0).ended();
  }

  /** Returns the time until T1; not positive once renewal is due. */
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
    boolean isThisBoot = bootId.equals(BootClock.bootId());
    return isThisBoot ? obtained.plus(after).minus(BootClock.now()) : Duration.ofSeconds(-1);
  }

  /** Returns a copy that is marked as ended: its addresses have been removed from the interface. */
  Binding ended() {
    Duration zero = Duration.ZERO;
    return new Binding(result, server, bootId, obtained, zero, zero, zero);
  }

  /** Whether this was returned by {@link #ended}. */
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
   * Parses what {@link #toJson} wrote.
   *
   * @throws CniException code 7 if a value is invalid
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

  /**
   * Parses a time in milliseconds, of at most 136 years: sums of longer ones could overflow.
   *
   * @throws CniException code 7 if it is invalid
   */
  static Duration millis(ConfigObject json, String key) throws CniException {
    return Duration.ofMillis(json.longInteger(key, 0, FOREVER * 1000).orElse(0));
  }
}
