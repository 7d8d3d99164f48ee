// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.api.Attachment;
import cni.api.CapabilityArgs;
import cni.api.CniException;
import cni.api.PortMapping;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
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

/**
 * The cost of attaching a container to a bridge with an address from host-local, with and without
 * the rules of a typical host (ipMasq, portmap, firewall): by the modules, and by the reference
 * plugins' executables through the same runtime. Needs root and the reference plugins, in the
 * directory CNI_REFERENCE_PLUGINS or where Debian's package installs them.
 */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 5)
@Measurement(iterations = 3, time = 5)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class AttachmentBenchmark {
  private static final String CHAINED_PLUGINS =
      ", { \"type\": \"portmap\", \"capabilities\": { \"portMappings\": true } },"
          + " { \"type\": \"firewall\" }";

  /** A namespace that represents the host, and one container. */
  @State(Scope.Benchmark)
  public static class Host {
    /** Which implementation runs the chain. */
    @Param({"modules", "executables"})
    public String plugins = "";

    /** The plugins of the chain. */
    @Param({"bridge", "bridge+portmap+firewall"})
    public String chain = "";

    private final String name =
        "cni-bench-%06x-".formatted(ThreadLocalRandom.current().nextInt(1 << 24));

    private @Nullable Path directory;
    private @Nullable Network network;
    private @Nullable Attachment attachment;

    /** Called by JMH. */
    public Host() {}

    /** Creates the namespaces and configures the network. */
    @Setup
    public void open() throws IOException, CniException {
      Path made = Files.createTempDirectory(name);
      directory = made;
      Path host;
      try (NetNs namespace = NetNs.create(name + "host")) {
        host = namespace.path();
      }
      try (NetNs namespace = NetNs.create(name + "c")) {
        attachment =
            Attachment.of(name + "c", namespace.path(), "eth0")
                .withCapabilityArgs(
                    chain.equals("bridge")
                        ? CapabilityArgs.NONE
                        : CapabilityArgs.builder().portMapping(PortMapping.tcp(8080, 80)).build());
      }
      Files.writeString(
          made.resolve("bench.conflist"),
          """
          { "cniVersion": "1.0.0", "name": "bench", "plugins": [
            { "type": "bridge", "bridge": "bench0", "isDefaultGateway": true, "ipMasq": %s,
              "ipam": { "type": "host-local", "subnet": "10.79.0.0/16", "dataDir": "%s" } } %s ] }
          """
              .formatted(
                  !chain.equals("bridge"),
                  made.resolve("data"),
                  chain.equals("bridge") ? "" : CHAINED_PLUGINS));
      String reference = System.getenv("CNI_REFERENCE_PLUGINS");
      CniBuilder builder =
          Cni.builder()
              .networks(made)
              .cache(made)
              .hostNamespace(host)
              .executables(Path.of(reference == null ? "/usr/lib/cni" : reference));
      if (plugins.equals("executables")) {
        builder.forceExecutables("bridge", "host-local", "portmap", "firewall");
      }
      network = builder.build().network("bench");
    }

    /** Removes the container, the networks and the namespaces. */
    @TearDown
    public void close() throws IOException, CniException {
      delete();
      NetNs.delete(name + "c");
      NetNs.delete(name + "host");
      try (Stream<Path> files = Files.walk(Objects.requireNonNull(directory))) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }

    Result add() throws CniException {
      return Objects.requireNonNull(network).add(Objects.requireNonNull(attachment));
    }

    void check() throws CniException {
      Objects.requireNonNull(network).check(Objects.requireNonNull(attachment));
    }

    void delete() throws CniException {
      Objects.requireNonNull(network).delete(Objects.requireNonNull(attachment));
    }
  }

  /** Deletes the attachment after each ADD, outside the measurement. */
  @State(Scope.Benchmark)
  public static class DeletedAfterEach {
    /** Called by JMH. */
    public DeletedAfterEach() {}

    /** Deletes the attachment. */
    @TearDown(Level.Invocation)
    public void delete(Host host) throws CniException {
      host.delete();
    }
  }

  /** Adds the attachment before each DEL, outside the measurement. */
  @State(Scope.Benchmark)
  public static class AddedBeforeEach {
    /** Called by JMH. */
    public AddedBeforeEach() {}

    /** Adds the attachment. */
    @Setup(Level.Invocation)
    public void add(Host host) throws CniException {
      host.add();
    }
  }

  /** Adds the attachment once, before the CHECKs; closing the host deletes it. */
  @State(Scope.Benchmark)
  public static class AddedOnce {
    /** Called by JMH. */
    public AddedOnce() {}

    /** Adds the attachment. */
    @Setup
    public void add(Host host) throws CniException {
      host.add();
    }
  }

  /** Called by JMH. */
  public AttachmentBenchmark() {}

  /** Measures ADD. */
  @Benchmark
  public Result add(Host host, DeletedAfterEach deleted) throws CniException {
    return host.add();
  }

  /** Measures CHECK. */
  @Benchmark
  public void check(Host host, AddedOnce attached) throws CniException {
    host.check();
  }

  /** Measures DEL. */
  @Benchmark
  public void delete(Host host, AddedBeforeEach attached) throws CniException {
    host.delete();
  }
}
