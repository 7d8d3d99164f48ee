// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.GcRequest;
import cni.api.PluginConfig;
import cni.api.SpecVersion;
import cni.api.Verb;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * One GC of a network: deletes stale attachments, then has every plugin remove what belongs to
 * attachments that are not valid. The caller holds the network's lock exclusively.
 */
final class GcOperation {
  /**
   * How many stale attachments are deleted at a time. The kernel waits for other processors at each
   * deletion of a link; concurrent ones share the wait.
   */
  private static final int PARALLELISM = 16;

  private final CniState cni;
  private final Network network;
  private final Set<AttachmentId> valid;
  private final CallContext context;
  private final FailureCollector failures;

  GcOperation(CniState cni, Network network, Set<AttachmentId> valid, CallContext context) {
    this.cni = cni;
    this.network = network;
    this.valid = valid;
    this.context = context;
    this.failures = new FailureCollector("GC of network " + network.name());
  }

  /**
   * Runs the operation; continues after the failure of a part.
   *
   * @throws CniException the failures, as {@link FailureCollector#throwIfAny}
   */
  GcReport run() throws CniException {
    List<Attachment> stale = staleAttachments();
    GcReport report = report(stale);
    deleteAll(stale);
    if (!report.collectors().isEmpty()) {
      SpecVersion version = version();
      for (PluginConfig plugin : network.config().plugins()) {
        failures.collect(() -> gc(plugin, version));
      }
    }
    failures.collect(() -> cni.temporaryFiles().sweep(network.name()));
    failures.throwIfAny();
    return report;
  }

  /**
   * Returns what {@link #run} would do.
   *
   * @throws CniException if the attachments cannot be listed
   */
  GcReport plan() throws CniException {
    GcReport report = report(staleAttachments());
    failures.throwIfAny();
    return report;
  }

  private GcReport report(List<Attachment> stale) throws CniException {
    return new GcReport(
        network.name(),
        network.knownAttachments().stream().filter(valid::contains).toList(),
        stale.stream().map(Attachment::id).toList(),
        Verb.GC.isDefinedIn(version())
            ? network.config().plugins().stream().map(PluginConfig::type).toList()
            : List.of());
  }

  private SpecVersion version() throws CniException {
    return new VersionNegotiation(network.config(), cni.plugins()).negotiateOrNewest();
  }

  /**
   * Returns the attachments in the cache and in the journals that are not valid. The process of an
   * ADD in the journal has died, because no ADD is under way while GC holds the network's lock.
   */
  private List<Attachment> staleAttachments() throws CniException {
    List<CachedAttachment> known = new ArrayList<>(cni.cache().list(Optional.empty()));
    known.addAll(cni.journal().list());
    known.addAll(cni.updates().list());
    Map<AttachmentId, Attachment> byId = new LinkedHashMap<>();
    known.stream()
        .filter(it -> it.network().equals(network.name()))
        .map(CachedAttachment::attachment)
        .filter(it -> !valid.contains(it.id()))
        .forEach(it -> byId.putIfAbsent(it.id(), it));
    List<Attachment> stale = new ArrayList<>(byId.values());
    failures.collect(
        () -> {
          Set<String> networks = new HashSet<>(cni.networkNames());
          known.forEach(it -> networks.add(it.network()));
          for (AttachmentId id : unlistedAttachments(networks)) {
            stale.add(new Attachment(id, Optional.empty(), Map.of(), Map.of()));
          }
        });
    return stale;
  }

  /**
   * Returns the attachments that are known by the names of their files, and not valid. DEL frees
   * what belongs to them and removes the file. If a name is ambiguous, every attachment that it may
   * denote is deleted; at most one of them exists. None is deleted if one of them is valid, or if
   * the file may belong to another network.
   *
   * @param networks the names of all known networks
   */
  private Set<AttachmentId> unlistedAttachments(Set<String> networks) throws CniException {
    List<Set<AttachmentId>> names = new ArrayList<>(cni.cache().unlisted(network.name(), networks));
    names.addAll(cni.journal().unlisted(network.name(), networks));
    Set<AttachmentId> stale = new LinkedHashSet<>();
    for (Set<AttachmentId> possible : names) {
      if (Collections.disjoint(possible, valid)) {
        stale.addAll(possible);
      }
    }
    return stale;
  }

  private void deleteAll(List<Attachment> attachments) {
    if (attachments.isEmpty()) {
      return;
    }
    var threads = Thread.ofPlatform().daemon().name("cni-gc-", 0).factory();
    int count = Math.min(attachments.size(), PARALLELISM);
    try (ExecutorService executor = Executors.newFixedThreadPool(count, threads)) {
      List<Future<Boolean>> deletions = new ArrayList<>();
      for (Attachment attachment : attachments) {
        deletions.add(
            executor.submit(
                () -> {
                  network.delete(attachment, context);
                  return true;
                }));
      }
      deletions.forEach(deletion -> failures.collect(() -> join(deletion)));
    }
  }

  private static void join(Future<?> deletion) throws CniException {
    try {
      deletion.get();
    } catch (InterruptedException e) {
      throw CniException.interrupted("deleting stale attachments");
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case CniException failure -> throw failure;
        case Error error -> throw error;
        case RuntimeException unexpected -> throw unexpected;
        case null, default -> throw new IllegalStateException(e);
      }
    }
  }

  private void gc(PluginConfig plugin, SpecVersion version) throws CniException {
    context.deadline().check("GC by " + plugin.type());
    var request =
        new GcRequest(plugin.forRequest(network.name(), version, Map.of()), valid, context);
    new PluginCall(network.name(), Verb.GC, plugin.type())
        .run(() -> cni.plugins().find(plugin.type()).gc(request));
  }
}
