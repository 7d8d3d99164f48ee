// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import tools.jackson.databind.node.ObjectNode;

/** The cost of reading a result, converting it to an older version, and writing it. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 3, time = 2)
@Fork(1)
public class ResultBenchmark {
  private static final byte[] BYTES =
      """
      { "cniVersion": "1.1.0",
        "interfaces": [
          { "name": "cni0", "mac": "00:11:22:33:44:55", "mtu": 1500 },
          { "name": "veth3243", "mac": "55:44:33:22:11:11", "mtu": 1500 },
          { "name": "eth0", "mac": "99:88:77:66:55:44", "mtu": 1500, "sandbox": "/run/netns/b" } ],
        "ips": [
          { "address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 2 },
          { "address": "fd00::5/64", "gateway": "fd00::1", "interface": 2 } ],
        "routes": [ { "dst": "0.0.0.0/0" }, { "dst": "::/0" } ],
        "dns": { "nameservers": [ "10.1.0.1" ] } }
      """
          .getBytes(UTF_8);

  private final Result result = parse();

  /** Called by JMH. */
  public ResultBenchmark() {}

  private static Result parse() {
    try {
      return ResultJson.read(Json.parse(BYTES, "result"), SpecVersion.V1_1_0);
    } catch (CniException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Parses a result. */
  @Benchmark
  public Result read() {
    return parse();
  }

  /** Converts a result to the oldest version. */
  @Benchmark
  public ObjectNode convert() throws CniException {
    return ResultJson.write(result, SpecVersion.V0_2_0);
  }

  /** Writes a result of the newest version. */
  @Benchmark
  public byte[] write() throws CniException {
    return Json.bytes(ResultJson.write(result, SpecVersion.V1_1_0));
  }
}
