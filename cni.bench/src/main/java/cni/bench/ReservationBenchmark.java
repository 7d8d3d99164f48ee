// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Result;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The cost of an address from host-local, by the number of reservations. Needs no privileges. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 3)
@Measurement(iterations = 3, time = 3)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class ReservationBenchmark {
  private static final Attachment ATTACHMENT =
      Attachment.of("bench", Path.of("/no/such/namespace"), "eth0");

  /** The number of addresses that are reserved for other containers. */
  @Param({"0", "1000", "10000", "60000"})
  public int reservations;

  private @Nullable Path directory;
  private @Nullable Cni cni;
  private @Nullable Network network;

  /** Called by JMH. */
  public ReservationBenchmark() {}

  /** Configures a network that only assigns addresses. */
  @Setup
  public void open() throws IOException, CniException {
    Path made = Files.createTempDirectory("cni-bench-");
    directory = made;
    Path leases = Files.createDirectories(made.resolve("data").resolve("bench"));
    for (int i = 0; i < reservations; i++) {
      Path file = leases.resolve("10.200.%d.%d".formatted(1 + i / 250, 1 + i % 250));
      Files.write(file, ("held-" + i + "\r\neth0").getBytes(UTF_8));
    }
    Files.writeString(
        made.resolve("bench.conflist"),
        """
        { "cniVersion": "1.0.0", "name": "bench", "plugins": [
          { "type": "host-local",
            "ipam": { "type": "host-local", "subnet": "10.200.0.0/16", "dataDir": "%s" } } ] }
        """
            .formatted(made.resolve("data")));
    cni = Cni.builder().networks(made).cache(made).build();
    network = cni.network("bench");
  }

  /** Releases the address, outside the measurement. */
  @TearDown(Level.Invocation)
  public void delete() throws CniException {
    Objects.requireNonNull(network).delete(ATTACHMENT);
  }

  /** Removes the directories. */
  @TearDown
  public void close() throws IOException {
    Objects.requireNonNull(cni).close();
    try (Stream<Path> files = Files.walk(Objects.requireNonNull(directory))) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /** Measures ADD. */
  @Benchmark
  public Result add() throws CniException {
    return Objects.requireNonNull(network).add(ATTACHMENT);
  }
}
