// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.AttachmentUpdate;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.runtime.UpdateReport;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A test host in which nothing is wrong until a test breaks something. */
final class ExaminedHost implements AutoCloseable {
  private final TestHost host;
  private final Cni cni;
  private final Path proc;

  ExaminedHost(TestHost host) throws IOException {
    this.host = host;
    this.cni = host.openCni();
    this.proc = host.directory().resolve("proc");
  }

  /** Makes a host with a dual-stack network {@code n} of one bridge and an attached container. */
  static ExaminedHost withAttachment(TestHost host) throws IOException, CniException {
    host.dualStack("n", "");
    var examined = new ExaminedHost(host);
    examined.add("n", host.container("a"));
    return examined;
  }

  Cni cni() {
    return cni;
  }

  void add(String network, NetNs container) throws CniException {
    cni.network(network).add(TestHost.attachment(container));
  }

  /** Publishes a port of a container. */
  void publish(String network, NetNs container, int hostPort, int containerPort, String protocol)
      throws CniException {
    String mappings =
        "[{\"hostPort\": %d, \"containerPort\": %d, \"protocol\": \"%s\"}]"
            .formatted(hostPort, containerPort, protocol);
    cni.network(network).add(TestHost.attachment(container, "portMappings", mappings));
  }

  /** Restores what is missing from all attachments, as {@code cni repair} does. */
  void repairAll() throws CniException {
    for (CachedAttachment it : cni.attachments()) {
      UpdateReport report = cni.network(it.network()).repair(it.attachment().id());
      assertEquals(List.of(), report.unrepaired());
    }
  }

  /** Runs a remedy of the form {@code cni update NETWORK NETNS --args KEY=VALUE}. */
  void update(Finding finding) throws CniException {
    String[] words = finding.remedy().split(" ", -1);
    assertEquals("cni update --args", words[0] + " " + words[1] + " " + words[4]);
    String[] arg = words[5].split("=", 2);
    cni.network(words[2])
        .update(
            finding.attachment().orElseThrow(),
            AttachmentUpdate.NONE.withArg(arg[0], Optional.of(arg[1])));
  }

  /** Runs a command on the host. */
  String run(String command) throws IOException {
    return TestBed.run(host.netns(), command.split(" ", -1));
  }

  /** Replaces a file below /proc, and hides all others. */
  void fakeProc(String file, String content) throws IOException {
    Path path = proc.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, content);
  }

  HostLocations locations() {
    return new HostLocations(
        host.networks(),
        List.of(host.executables()),
        List.of(),
        host.cache(),
        Optional.of(host.netns().path()),
        host.directory().resolve("netns"),
        Files.exists(proc) ? proc : Path.of("/proc"));
  }

  Diagnosis examine() throws CniException {
    return examine(Scope.HOST);
  }

  Diagnosis examine(Scope scope) throws CniException {
    return Doctor.examine(cni, locations(), scope);
  }

  /** Asserts that every examination was made and none found anything. */
  void assertHealthy() throws CniException {
    Diagnosis diagnosis = examine();
    assertEquals(List.of(), diagnosis.findings());
    assertEquals(List.of(), diagnosis.omitted());
    assertEquals(FindingKind.values().length, diagnosis.examinations());
  }

  /** Asserts what is found first, and that its evidence and remedy contain some texts. */
  Finding assertFirst(FindingKind kind, String evidence, String remedy) throws CniException {
    Diagnosis diagnosis = examine();
    assertEquals(List.of(), diagnosis.omitted());
    assertFalse(diagnosis.findings().isEmpty(), "nothing found");
    Finding first = diagnosis.findings().getFirst();
    assertEquals(kind, first.kind(), diagnosis::toString);
    assertTrue(first.evidence().contains(evidence), first::toString);
    assertTrue(first.remedy().contains(remedy), first::toString);
    diagnosis.findings().forEach(it -> PastedRemedy.assertPasteable(it.remedy()));
    return first;
  }

  /** As {@link #assertFirst}, and that nothing else is found. */
  Finding assertOnly(FindingKind kind, String evidence, String remedy) throws CniException {
    Finding first = assertFirst(kind, evidence, remedy);
    assertEquals(List.of(first), examine().findings());
    return first;
  }

  @Override
  public void close() {
    cni.close();
  }
}
