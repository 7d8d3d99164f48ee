// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.plugins.support.NetNsSession;
import cni.policy.file.PolicyFiles;
import cni.policy.file.PolicyReader;
import cni.policy.file.Problem;
import cni.policy.tables.ConnectionCut;
import cni.policy.tables.PolicyTables;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * The policies of one host: what is in force, on which attachments, and the rules in the kernel
 * that follow from both. Several processes may use one data directory; each method holds its lock.
 * Not safe for use by several threads at once.
 */
public final class HostPolicies {
  private final PolicyDirectories directories;
  private final NetNsSession host;
  private final Deadline deadline;

  /**
   * Creates a view of a host's policies.
   *
   * @param host the host's network namespace; the caller closes it
   * @param deadline how long to wait for other processes
   */
  public HostPolicies(PolicyDirectories directories, NetNsSession host, Deadline deadline) {
    this.directories = directories;
    this.host = host;
    this.deadline = deadline;
  }

  /**
   * Opens a host's network namespace.
   *
   * @param namespace its path; absent for that of this process
   * @throws CniException code 8 if it cannot be opened
   */
  public static NetNsSession openHost(Optional<Path> namespace, Deadline deadline)
      throws CniException {
    Delegates none =
        type -> {
          throw new CniException(ErrorCode.INTERNAL, "no plugin " + type);
        };
    return NetNsSession.openHost(new CallContext(namespace, deadline, none));
  }

  /**
   * Brings the policies into force for an attachment, or for what has changed about it. If it was
   * the first attachment since the machine started, the directory of policies is put in force
   * before.
   *
   * @return the attachment as it was before; empty if it was not known
   * @throws CniException code 7 if no policies are in force and a file of the directory is invalid;
   *     code 50 if this host cannot enforce policies; code 11 if others hold the lock; code 5 or
   *     999 if files or rules cannot be written: then nothing has changed
   */
  public Optional<Endpoint> attach(Endpoint endpoint) throws CniException {
    try (HostState state = lock()) {
      state.requireOwn();
      PolicyState before = state.begin();
      PolicyState after = attachments().with(before, endpoint);
      attachments().enableBridge(endpoint);
      state.change(before, after);
      return Optional.ofNullable(before.endpoints().get(endpoint.id()));
    } catch (IOException e) {
      throw IoErrors.failure("bringing policies into force", e);
    }
  }

  /**
   * Removes an attachment from all rules. It succeeds if it is not known.
   *
   * @throws CniException code 11, 5 or 999 as {@link #attach}
   */
  public void detach(Endpoint.Id id) throws CniException {
    detach(it -> it.equals(id), false);
  }

  /**
   * Removes attachments that are gone; if none is left, also the tables with the guards.
   *
   * @param isStale matches attachments that do not exist any more
   * @throws CniException code 11, 5 or 999 as {@link #attach}
   */
  public void collect(Predicate<Endpoint.Id> isStale) throws CniException {
    detach(isStale, true);
  }

  private void detach(Predicate<Endpoint.Id> isGone, boolean removesTables) throws CniException {
    if (!isUsed()) {
      return;
    }
    try (HostState state = lock()) {
      state.remove(isGone, removesTables);
    } catch (IOException e) {
      throw IoErrors.failure("removing an attachment from policies", e);
    }
  }

  /** Reads the directory of policies. Nothing is put in force. */
  public PolicyFiles readDirectory() {
    return PolicyReader.readDirectory(directories.policies());
  }

  /**
   * Puts policies in force for all attachments, in one transaction. Connections that they forbid
   * are cut; all others continue.
   *
   * @throws CniException as {@link #attach}
   */
  public void apply(List<Policy> policies) throws CniException {
    try (HostState state = lock()) {
      state.requireOwn();
      PolicyState before = state.recovered();
      state.change(before, before.withPolicies(policies));
    } catch (IOException e) {
      throw IoErrors.failure("bringing policies into force", e);
    }
  }

  /**
   * Reads the directory of policies and puts them in force, unless a file is invalid, or they are
   * in force already. Two processes that do so at once end with what the directory has last.
   *
   * @return what was read, and what was in force before
   * @throws CniException as {@link #attach}
   */
  public PolicyUpdate applyDirectory() throws CniException {
    try (HostState state = lock()) {
      state.requireOwn();
      PolicyFiles files = readDirectory();
      PolicyState before = state.recovered();
      boolean isInForce = state.hasPolicies() && before.policies().equals(files.policies());
      if (files.problems().isEmpty() && (!isInForce || state.isUnfinished())) {
        state.change(before, before.withPolicies(files.policies()));
      }
      return new PolicyUpdate(files, before.policies());
    } catch (IOException e) {
      throw IoErrors.failure("bringing policies into force", e);
    }
  }

  /** Returns whether this host has had an attachment, or policies, since it was started. */
  public boolean isUsed() {
    return PolicyStore.exists(directories.data());
  }

  /**
   * Makes the rules in the kernel what they should be, whatever other programs have done to them.
   *
   * @throws CniException as {@link #attach}
   */
  public void restore() throws CniException {
    try (HostState state = lock()) {
      state.requireOwn();
      state.restore();
    } catch (IOException e) {
      throw IoErrors.failure("restoring the rules of policies", e);
    }
  }

  /**
   * Returns what is in force; empty before the first attachment.
   *
   * @throws CniException code 11 or 5 as {@link #attach}
   */
  public PolicyState state() throws CniException {
    if (!isUsed()) {
      return PolicyState.EMPTY;
    }
    try (HostState state = lock()) {
      return state.present();
    }
  }

  /**
   * Returns what the policies have done, by their names.
   *
   * @throws CniException code 11, 5 or 999 as {@link #attach}
   */
  public Map<String, PolicyHits> hits() throws CniException {
    if (!isUsed()) {
      return Map.of();
    }
    try (HostState state = lock()) {
      return state.tables().hits(state.present());
    } catch (IOException e) {
      throw IoErrors.failure("reading the counters of policies", e);
    }
  }

  /**
   * Returns in what the rules in the kernel differ from what they should be: a line for each
   * difference.
   *
   * @throws CniException code 11, 5 or 999 as {@link #attach}
   */
  public List<String> difference() throws CniException {
    if (!isUsed()) {
      return List.of();
    }
    try (HostState state = lock()) {
      return state.tables().difference(state.present());
    } catch (IOException e) {
      throw IoErrors.failure("comparing the rules of policies", e);
    }
  }

  /**
   * Returns what decides about connections in a state, as the rules in the kernel do.
   *
   * @throws CniException code 999 if the addresses of this host cannot be read
   */
  public PolicyEvaluator evaluator(PolicyState state) throws CniException {
    try {
      return PolicyEvaluator.of(state, new ConnectionCut(host).hostAddresses());
    } catch (IOException e) {
      throw IoErrors.failure("reading the addresses of this host", e);
    }
  }

  /**
   * Returns how an attachment differs from what it should be: a line for each finding.
   *
   * @throws CniException as {@link #attach}
   */
  public List<String> check(Endpoint endpoint) throws CniException {
    PolicyState state;
    try (HostState locked = lock()) {
      state = locked.present();
      if (!locked.hasPolicies() && !state.endpoints().isEmpty()) {
        return List.of("%s does not say which policies are in force".formatted(directories.data()));
      }
    }
    try {
      Endpoint known = state.endpoints().get(endpoint.id());
      if (known == null) {
        return List.of("no policies are in force for " + describe(endpoint.id()));
      }
      if (!known.equals(endpoint)) {
        return List.of(
            "policies are in force for %s with labels %s, named ports %s and addresses %s"
                .formatted(
                    describe(endpoint.id()),
                    PolicyEvaluator.format(known.labels()),
                    new TreeSet<>(known.ports().keySet()),
                    known.addresses()));
      }
      if (!attachments().isBridgeEnabled(endpoint)) {
        return List.of(
            "bridge %s does not pass packets between its ports to policies (nf_call_iptables)"
                .formatted(endpoint.bridge().orElse("")));
      }
      return tables().isInForce(state, endpoint)
          ? List.of()
          : List.of("rules of the policies for " + describe(endpoint.id()) + " are missing");
    } catch (IOException e) {
      throw IoErrors.failure("checking the rules of policies", e);
    }
  }

  private static String describe(Endpoint.Id id) {
    return "%s of %s on network %s".formatted(id.ifname(), id.containerId(), id.network());
  }

  /**
   * Requires that policies can be enforced and the next attachment can be made.
   *
   * @throws CniException code 50 with the reason, if not
   */
  public void requireReady() throws CniException {
    host.requireNftables();
    BridgeFiltering.requireModule();
    List<Problem> problems = readDirectory().problems();
    if (!problems.isEmpty()) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          Problem.join(problems) + "; until this is mended, the policies before are in force");
    }
    try {
      AtomicFiles.requireWritable(directories.data().resolve(".status"));
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          directories.data() + " cannot be written: " + IoErrors.reason(e),
          e);
    }
    requireInForce();
  }

  /** Requires that this is the only data directory and host, and that the kernel has the rules. */
  private void requireInForce() throws CniException {
    Optional<String> damage = Optional.empty();
    try {
      tables().requireOwn();
      if (isUsed()) {
        try (HostState state = lock()) {
          state.requireOwn();
          if (!state.isUnfinished()) { // otherwise the next change compares them
            damage = state.tables().damage(state.present());
          }
        }
      }
    } catch (IOException e) {
      throw IoErrors.failure("reading the rules of policies", e);
    } catch (CniException e) {
      throw e.is(ErrorCode.INVALID_CONFIG)
          ? new CniException(ErrorCode.NOT_AVAILABLE, e.getMessage(), e)
          : e;
    }
    if (damage.isPresent()) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "another program has changed the rules of policies: "
              + damage.get()
              + "; \"cni policy apply\" restores them");
    }
  }

  private HostAttachments attachments() {
    return new HostAttachments(host);
  }

  private PolicyTables tables() throws IOException {
    return new PolicyTables(host.nftables(), directories.data());
  }

  private HostState lock() throws CniException {
    return HostState.lock(directories, host, deadline);
  }
}
