// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The differences that a comparison has found between an attachment and its desired state, with the
 * changes that remove them, in the order in which they have to be made. Closing it closes what the
 * changes use. Not safe for use by several threads at once.
 */
public final class Differences implements AutoCloseable {
  private final List<Difference> list;
  private final List<Change> completions;
  private final Deque<Resource> resources;

  /** What is added concerns this. */
  private final Kind kind;

  /** What is added follows from this finding. */
  private final Optional<String> cause;

  /** Creates an empty collection. */
  public Differences() {
    this(new ArrayList<>(), new ArrayList<>(), new ArrayDeque<>(), Kind.OTHER, Optional.empty());
  }

  private Differences(
      List<Difference> list,
      List<Change> completions,
      Deque<Resource> resources,
      Kind kind,
      Optional<String> cause) {
    this.list = list;
    this.completions = completions;
    this.resources = resources;
    this.kind = kind;
    this.cause = cause;
  }

  /**
   * What a difference concerns. In the order in which CHECK reports them: a difference often has
   * others of later kinds as its consequences.
   */
  public enum Kind {
    /** An interface is missing, or of another kind. */
    INTERFACE,
    /** An interface is down. */
    LINK_STATE,
    /** An interface belongs to another bridge or VRF, or to none. */
    MASTER,
    /** MTU, hardware address, modes and VLANs of an interface. */
    LINK_SETTING,
    /** An address of an interface. */
    ADDRESS,
    /** An entry of a neighbour or forwarding table. */
    NEIGHBOUR,
    /** A route or a policy rule. */
    ROUTE,
    /** A kernel parameter. */
    SYSCTL,
    /** A rule, chain or set of nf_tables or iptables, or a source of firewalld. */
    RULE,
    /** A qdisc, class or filter that limits the bandwidth. */
    SHAPING,
    /** The reservation or lease of an address. */
    RESERVATION,
    /** Anything else; every finding of an executable. */
    OTHER
  }

  /**
   * One difference.
   *
   * @param kind what it concerns
   * @param finding what differs, for CHECK: {@code address 10.1.0.2/24 is missing from interface
   *     eth0}
   * @param cause the finding that it follows from; absent if it follows from no other
   * @param change the change that removes it; absent if that is impossible without interrupting the
   *     attachment
   */
  public record Difference(
      Kind kind, String finding, Optional<String> cause, Optional<Change> change) {
    /** Checks that no argument is null. */
    public Difference {
      requireNonNull(kind, "kind");
      requireNonNull(finding, "finding");
      requireNonNull(cause, "cause");
      requireNonNull(change, "change");
    }

    /** Creates a difference of no particular kind. */
    public Difference(String finding, Optional<Change> change) {
      this(Kind.OTHER, finding, Optional.empty(), change);
    }
  }

  /**
   * Returns a view of this collection: what is added to it is added to this collection, as
   * differences of a kind.
   */
  public Differences of(Kind other) {
    requireNonNull(other, "other");
    return new Differences(list, completions, resources, other, cause);
  }

  /**
   * Returns a view of this collection: what is added to it is added to this collection, as the
   * consequence of a finding that has been added before.
   */
  public Differences following(String finding) {
    requireNonNull(finding, "finding");
    return new Differences(list, completions, resources, kind, Optional.of(finding));
  }

  /** Adds a difference that another collection has. */
  public void add(Difference difference) {
    requireNonNull(difference, "difference");
    list.add(difference);
  }

  /**
   * One change, usually one request to the kernel.
   *
   * @param description what it does, in the imperative: {@code add address 10.1.0.2/24 to eth0}
   * @param apply makes the change; if it throws, it has changed nothing
   * @param undo restores the state before; called only after {@code apply} has succeeded
   */
  public record Change(String description, Action apply, Action undo) {
    /** Checks that no argument is null. */
    public Change {
      requireNonNull(description, "description");
      requireNonNull(apply, "apply");
      requireNonNull(undo, "undo");
    }
  }

  /** Makes or undoes a change. */
  @FunctionalInterface
  public interface Action {
    /** An action that does nothing. */
    Action NONE = () -> {};

    /**
     * Performs the action.
     *
     * @throws CniException if it fails
     * @throws IOException if the kernel refuses
     */
    void run() throws CniException, IOException;
  }

  /** Makes a change that may have been made meanwhile. */
  @FunctionalInterface
  public interface Attempt {
    /**
     * Makes the change, unless it has been made.
     *
     * @return whether this call has made it
     * @throws CniException if it fails
     * @throws IOException if the kernel refuses
     */
    boolean run() throws CniException, IOException;
  }

  /** Something that changes use, such as a socket. */
  @FunctionalInterface
  public interface Resource extends AutoCloseable {
    @Override
    void close();
  }

  /** Adds a difference that a change removes. */
  public void add(String finding, String description, Action apply, Action undo) {
    requireNonNull(finding, "finding");
    requireNonNull(description, "description");
    requireNonNull(apply, "apply");
    requireNonNull(undo, "undo");
    list.add(
        new Difference(kind, finding, cause, Optional.of(new Change(description, apply, undo))));
  }

  /**
   * Adds a difference that something else may remove before its change is made: another plugin of
   * the chain, or the repair of another attachment. The change is only undone if it had an effect.
   */
  public void addTentative(String finding, String description, Attempt apply, Action undo) {
    requireNonNull(finding, "finding");
    requireNonNull(description, "description");
    requireNonNull(apply, "apply");
    requireNonNull(undo, "undo");
    var made = new AtomicBoolean();
    add(
        finding,
        description,
        () -> made.set(apply.run()),
        () -> {
          if (made.getAndSet(false)) {
            undo.run();
          }
        });
  }

  /** Adds a difference that cannot be removed without interrupting the attachment. */
  public void addUnchangeable(String finding) {
    requireNonNull(finding, "finding");
    list.add(new Difference(kind, finding, cause, Optional.empty()));
  }

  /**
   * Adds an action that must not be undone, such as the release of an address that is no longer
   * used. It runs after all changes have succeeded and the new state has been stored; a failure is
   * reported but does not undo the update.
   *
   * <p>If it fails, or the process dies before, the next update or repair compares again what the
   * update changed, and runs what that comparison adds. A comparison therefore adds it whether or
   * not the changes have been made, and the action tolerates that it has been run.
   */
  public void addCompletion(String description, Action action) {
    requireNonNull(description, "description");
    requireNonNull(action, "action");
    completions.add(new Change(description, action, Action.NONE));
  }

  /** Registers a resource that is closed with this collection, in reverse order. */
  public <T extends Resource> T keep(T resource) {
    requireNonNull(resource, "resource");
    resources.push(resource);
    return resource;
  }

  /** Returns the differences in the order of their changes. */
  public List<Difference> list() {
    return List.copyOf(list);
  }

  /** Returns the actions that {@link #addCompletion} added. */
  public List<Change> completions() {
    return List.copyOf(completions);
  }

  /** Returns whether the attachment is as desired. */
  public boolean isEmpty() {
    return list.isEmpty();
  }

  /**
   * Requires that the attachment is as desired, for CHECK.
   *
   * @param plugin the type of the plugin that has compared
   * @throws CniException code 999 with all findings, causes first, if it is not
   */
  public void requireNone(String plugin) throws CniException {
    requireNonNull(plugin, "plugin");
    if (!list.isEmpty()) {
      throw CniException.ofFindings(list.stream().map(it -> CheckFinding.of(plugin, it)).toList());
    }
  }

  @Override
  public void close() {
    while (!resources.isEmpty()) {
      resources.pop().close();
    }
  }
}
