// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

import cni.api.Differences;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkUpdate;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.tc.HtbClass;
import cni.netlink.ffm.tc.Qdisc;
import cni.netlink.ffm.tc.TcConstants;
import cni.netlink.ffm.tc.TcFilter;
import cni.netlink.ffm.tc.TokenBucket;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Compares the root qdisc of a link with the desired one. Rates are changed in place; the kernel
 * can change neither the kind of a qdisc nor the default class of an htb (htb_qdisc_ops has no
 * {@code change}), so that these need another qdisc.
 *
 * @param routing a socket of the host, which stays open until the changes have been made
 */
record ShaperComparison(RouteSocket routing, Link link, Differences differences) {
  private static final Set<String> OUR_KINDS = Set.of("tbf", "htb");

  /**
   * Adds the differences.
   *
   * @param qdiscs the qdiscs of the link
   * @param current the shaper before; removed if it is no longer desired
   * @param desired absent for no limit
   */
  void compare(List<Qdisc> qdiscs, Optional<TrafficShaper> current, Optional<TrafficShaper> desired)
      throws IOException {
    Optional<Qdisc> root =
        qdiscs.stream().filter(it -> it.parent() == TcConstants.ROOT).findFirst();
    boolean isOurs = root.filter(ShaperComparison::isOurs).isPresent();
    if (desired.isEmpty()) {
      if (current.isPresent() && isOurs) {
        remove(QdiscTree.read(routing, link.index(), root.get()));
      }
      return;
    }
    QdiscTree expected = desired.get().tree();
    String finding =
        "interface %s has qdisc %s, expected %s"
            .formatted(link.name(), root.map(Qdisc::kind).orElse("none"), expected.root().kind());
    if (isOurs) {
      QdiscTree found = QdiscTree.read(routing, link.index(), root.get());
      if (!found.root().kind().equals(expected.root().kind())) {
        replace(finding, found, desired.get());
      } else {
        compareSameKind(found, current.map(TrafficShaper::tree), desired.get());
      }
    } else if (root.filter(it -> it.handle() != 0).isPresent()) { // the kernel's default has none
      differences.addUnchangeable(finding);
    } else {
      install(finding, desired.get());
    }
  }

  /** Whether a qdisc is this plugin's; another handle is that of a tbf that was replaced by tc. */
  private static boolean isOurs(Qdisc qdisc) {
    return qdisc.handle() == TrafficShaper.ROOT_HANDLE
        ? OUR_KINDS.contains(qdisc.kind())
        : qdisc.kind().equals("tbf");
  }

  private void install(String finding, TrafficShaper desired) {
    QdiscTree expected = desired.tree();
    differences.add(
        finding,
        "limit what %s sends to %s".formatted(link.name(), desired.describe()),
        () -> expected.install(routing, link.index()),
        () -> expected.remove(routing, link.index()));
  }

  private void remove(QdiscTree found) {
    differences.add(
        "interface %s has qdisc %s, expected none".formatted(link.name(), found.root().kind()),
        "remove the limit of what %s sends".formatted(link.name()),
        () -> found.remove(routing, link.index()),
        () -> found.install(routing, link.index()));
  }

  private void replace(String finding, QdiscTree found, TrafficShaper desired) {
    QdiscTree expected = desired.tree();
    int queueLength = link.isKind("ifb") ? desired.queueLength() : link.txQueueLength();
    differences.add(
        finding,
        "replace qdisc %s of %s by %s"
            .formatted(found.root().kind(), link.name(), expected.root().kind()),
        () -> replace(found, expected, link.txQueueLength(), queueLength),
        () -> replace(expected, found, queueLength, link.txQueueLength()));
  }

  /**
   * Replaces a qdisc. The classes of an htb get queues of the link's transmit queue length when
   * they are added.
   */
  private void replace(QdiscTree before, QdiscTree after, int lengthBefore, int lengthAfter)
      throws IOException {
    setQueueLength(lengthAfter);
    try {
      before.remove(routing, link.index());
    } catch (IOException e) {
      addSuppressed(e, () -> setQueueLength(lengthBefore));
      throw e;
    }
    try {
      after.install(routing, link.index());
    } catch (IOException e) {
      addSuppressed(
          e,
          () -> {
            setQueueLength(lengthBefore);
            before.install(routing, link.index());
          });
      throw e;
    }
  }

  private void setQueueLength(int length) throws IOException {
    if (link.isKind("ifb")) {
      routing.execute(new LinkUpdate(link.index()).txQueueLength(length).request());
    }
  }

  /** Undoes a part of a change after another part has failed. */
  private static void addSuppressed(IOException failure, Undo undo) {
    try {
      undo.run();
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  private interface Undo {
    void run() throws IOException;
  }

  private void compareSameKind(
      QdiscTree found, Optional<QdiscTree> current, TrafficShaper desired) {
    QdiscTree expected = desired.tree();
    if (found.root().bucket().isPresent()) {
      compareBuckets(found, found.root().bucket().get(), desired.bucket());
      return;
    }
    if (found.root().defaultClass() != expected.root().defaultClass()) {
      String finding =
          "interface %s has qdisc htb with default class 1:%x, expected 1:%x"
              .formatted(link.name(), found.root().defaultClass(), expected.root().defaultClass());
      replace(finding, found, desired);
      return;
    }
    for (HtbClass it : expected.classes()) {
      compareClass(found, it);
    }
    for (TcFilter it : expected.filters()) {
      compareFilter(found, it);
    }
    current.ifPresent(before -> removeFilters(found, before, expected));
  }

  private void compareBuckets(QdiscTree found, TokenBucket actual, TokenBucket expected) {
    if (!actual.equals(expected)) {
      int handle = found.root().handle();
      boolean isQueue = BitUnits.describe(actual).equals(BitUnits.describe(expected));
      differences.add(
          isQueue
              ? "interface %s has a queue of %s, expected %s"
                  .formatted(link.name(), BitUnits.queue(actual), BitUnits.queue(expected))
              : "interface %s is limited to %s, expected %s"
                  .formatted(link.name(), BitUnits.describe(actual), BitUnits.describe(expected)),
          "limit what %s sends to %s".formatted(link.name(), BitUnits.describe(expected)),
          () -> routing.execute(Qdisc.changeTbf(link.index(), handle, TcConstants.ROOT, expected)),
          () -> routing.execute(Qdisc.changeTbf(link.index(), handle, TcConstants.ROOT, actual)));
    }
  }

  private void compareClass(QdiscTree found, HtbClass expected) {
    int parent = found.root().handle();
    String name = "1:%x".formatted(expected.handle() & 0xffff);
    String description =
        "limit class %s of %s to %s".formatted(name, link.name(), BitUnits.describe(expected));
    Optional<HtbClass> actual =
        found.classes().stream().filter(it -> it.handle() == expected.handle()).findFirst();
    if (actual.isEmpty()) {
      differences.add(
          "interface %s has no class %s".formatted(link.name(), name),
          description,
          () -> routing.execute(expected.addRequest(link.index(), parent)),
          () -> routing.execute(expected.deleteRequest(link.index(), parent)));
    } else if (!actual.get().equals(expected)) {
      differences.add(
          describe(name, actual.get(), expected),
          description,
          () -> routing.execute(expected.changeRequest(link.index(), parent)),
          () -> routing.execute(actual.get().changeRequest(link.index(), parent)));
    }
  }

  /** Names what people configure, unless only another parameter of the class differs. */
  private String describe(String name, HtbClass actual, HtbClass expected) {
    boolean hasSameLimit = BitUnits.describe(actual).equals(BitUnits.describe(expected));
    return "class %s of interface %s is %s, expected %s"
        .formatted(
            name,
            link.name(),
            hasSameLimit ? actual : "limited to " + BitUnits.describe(actual),
            hasSameLimit ? expected : BitUnits.describe(expected));
  }

  private void compareFilter(QdiscTree found, TcFilter expected) {
    List<TcFilter> same = found.filters().stream().filter(it -> it.hasSameMatch(expected)).toList();
    if (same.stream().noneMatch(expected::isEquivalentTo)) {
      differences.add(
          "interface %s has no filter for %s".formatted(link.name(), describe(expected)),
          "add a filter for %s to %s".formatted(describe(expected), link.name()),
          () -> add(found, expected),
          () -> delete(found, expected));
    }
    same.stream()
        .filter(it -> !expected.isEquivalentTo(it))
        .forEach(it -> removeFilter(found, it, "in class 1:%x".formatted(it.flow() & 0xffff)));
  }

  /** Removes the filters of the shaper before that the desired one does not have. */
  private void removeFilters(QdiscTree found, QdiscTree before, QdiscTree expected) {
    for (TcFilter it : before.filters()) {
      boolean isDesired = expected.filters().stream().anyMatch(it::hasSameMatch);
      if (!isDesired && found.filters().stream().anyMatch(it::isEquivalentTo)) {
        removeFilter(found, it, "that is not configured");
      }
    }
  }

  private void removeFilter(QdiscTree found, TcFilter filter, String what) {
    differences.add(
        "interface %s has a filter for %s %s".formatted(link.name(), describe(filter), what),
        "delete the filter for %s of %s".formatted(describe(filter), link.name()),
        () -> delete(found, filter),
        () -> add(found, filter));
  }

  private void add(QdiscTree found, TcFilter filter) throws IOException {
    routing.execute(filter.addRequest(link.index(), found.root().handle()));
  }

  private void delete(QdiscTree found, TcFilter filter) throws IOException {
    TcFilter.delete(routing, link.index(), found.root().handle(), filter::isEquivalentTo);
  }

  private static String describe(TcFilter filter) {
    return filter.keys().toString();
  }
}
