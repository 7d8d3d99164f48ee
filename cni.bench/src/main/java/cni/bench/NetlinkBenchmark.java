// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.Blackhole;

/** The cost of an exchange with the kernel and of opening a socket. Changes nothing. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 3, time = 2)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class NetlinkBenchmark {
  private @Nullable RouteSocket routeSocket;
  private @Nullable NetNs namespace;

  /** Called by JMH. */
  public NetlinkBenchmark() {}

  /** Opens a socket in the namespace of this process. */
  @Setup
  public void open() throws KernelException {
    routeSocket = RouteSocket.open();
    namespace = NetNs.current();
  }

  /** Closes the socket. */
  @TearDown
  public void close() {
    Objects.requireNonNull(routeSocket).close();
    Objects.requireNonNull(namespace).close();
  }

  /** Gets one link by its name: a send, a receive, and parsing the response. */
  @Benchmark
  public Optional<Link> link() throws IOException {
    return Objects.requireNonNull(routeSocket).link("lo");
  }

  /** Lists the links. */
  @Benchmark
  public List<Link> links() throws IOException {
    return Objects.requireNonNull(routeSocket).links();
  }

  /** Opens a socket in the thread's own namespace. */
  @Benchmark
  public void openSocket(Blackhole blackhole) throws KernelException {
    try (RouteSocket opened = RouteSocket.open()) {
      blackhole.consume(opened);
    }
  }

  /** Opens a socket in a namespace that another thread enters. Needs root. */
  @Benchmark
  public void openSocketInNamespace(Blackhole blackhole) throws KernelException {
    try (RouteSocket opened = RouteSocket.open(Objects.requireNonNull(namespace))) {
      blackhole.consume(opened);
    }
  }
}
