// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** The callers of one chain, and the durations that have been measured of them. */
final class ChainExecs {
  private final Optional<Callers> host;
  private final Callers image;
  private final Callers executables;
  private VerbTimings hostTimings = VerbTimings.NONE;
  private VerbTimings imageTimings = VerbTimings.NONE;
  private VerbTimings executableTimings = VerbTimings.NONE;

  /** Durations of ADD and DEL. */
  record VerbTimings(Timings add, Timings delete) {
    static final VerbTimings NONE = new VerbTimings(Timings.of(), Timings.of());

    VerbTimings plus(VerbTimings other) {
      return new VerbTimings(add.concat(other.add), delete.concat(other.delete));
    }
  }

  /** Starts the callers; those through the host only if there is one. */
  ChainExecs(ExecNetworks execs, Chain chain) throws Exception {
    host =
        execs.host().isPresent()
            ? Optional.of(execs.plugins(Implementation.HOST, chain))
            : Optional.empty();
    image = execs.plugins(Implementation.IMAGE, chain);
    executables = execs.plugins(Implementation.EXECUTABLES, chain);
  }

  Optional<Callers> host() {
    return host;
  }

  Callers image() {
    return image;
  }

  Callers executables() {
    return executables;
  }

  /** Attaches and detaches containers through the host and with the reference plugins, in turn. */
  void measure(int containers) throws IOException {
    if (host.isPresent()) {
      hostTimings = hostTimings.plus(addAndDelete(host.get(), containers));
    }
    executableTimings = executableTimings.plus(addAndDelete(executables, containers));
  }

  /** Attaches and detaches containers with the image alone. */
  void measureImage(int containers) throws IOException {
    imageTimings = imageTimings.plus(addAndDelete(image, containers));
  }

  private static VerbTimings addAndDelete(Callers callers, int containers) throws IOException {
    Timings add = callers.run("ADD", containers, 1).calls();
    return new VerbTimings(add, callers.run("DEL", containers, 1).calls());
  }

  /** Returns the host's median, in milliseconds, if there is a host. */
  Optional<Double> hostMedian(Function<VerbTimings, Timings> verb) {
    return host.map(it -> verb.apply(hostTimings).medianMillis());
  }

  double executableMedian(Function<VerbTimings, Timings> verb) {
    return verb.apply(executableTimings).medianMillis();
  }

  /** Returns the medians as the first columns of a row. */
  List<String> medians(Function<VerbTimings, Timings> verb) {
    return List.of(
        ComparisonTable.millis(hostMedian(verb)),
        ComparisonTable.millis(verb.apply(imageTimings).medianMillis()),
        ComparisonTable.millis(executableMedian(verb)));
  }
}
