// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CallContext;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.Names;
import cni.api.TraceContext;
import cni.api.Verb;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The environment variables of a call (SPEC section 2, "Parameters").
 *
 * @param verb the operation, CNI_COMMAND
 * @param variables the whole environment
 * @param hostNamespace the path of the namespace in which the plugin runs; absent for the process's
 *     own
 */
record CallEnvironment(Verb verb, Map<String, String> variables, Optional<Path> hostNamespace) {
  private static final List<String> ATTACHMENT_VARIABLES =
      List.of("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME");

  /**
   * Creates the environment of a call.
   *
   * @throws CniException code 4 if the command is not one of {@link Verb}
   */
  static CallEnvironment of(
      String command, Map<String, String> variables, Optional<Path> hostNamespace)
      throws CniException {
    for (Verb verb : Verb.values()) {
      if (verb.name().equals(command)) {
        return new CallEnvironment(verb, variables, hostNamespace);
      }
    }
    throw new CniException(
        ErrorCode.INVALID_PARAMETER,
        "unknown CNI_COMMAND: %s is none of %s"
            .formatted(
                Json.quote(command),
                Arrays.stream(Verb.values()).map(Verb::name).collect(Collectors.joining(", "))));
  }

  /** Returns the value of a variable; the empty string if it is not set. */
  String get(String name) {
    return variables.getOrDefault(name, "");
  }

  /**
   * Requires the variables of the verb.
   *
   * @throws CniException code 4, with all missing variables as listed by skel, if some are missing,
   *     or if one is malformed
   */
  void requireVariables() throws CniException {
    String missing =
        ATTACHMENT_VARIABLES.stream()
            .filter(name -> isRequired(name) && get(name).isEmpty())
            .collect(Collectors.joining(","));
    if (get("CNI_PATH").isEmpty()) {
      missing += (missing.isEmpty() ? "" : ",") + "CNI_PATH";
    }
    if (!missing.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "required env variables [" + missing + "] missing for " + verb);
    }
    if (hasAttachment()) {
      Names.requireContainerId(get("CNI_CONTAINERID"));
      Names.requireInterfaceName(get("CNI_IFNAME"));
    }
  }

  private boolean hasAttachment() {
    return verb == Verb.ADD || verb == Verb.DEL || verb == Verb.CHECK;
  }

  private boolean isRequired(String name) {
    return hasAttachment() && !(verb == Verb.DEL && name.equals("CNI_NETNS"));
  }

  /** Returns the attachment that an ADD, DEL or CHECK is about. */
  Attachment attachment(CniArgs args) {
    String netns = get("CNI_NETNS");
    return new Attachment(
        new AttachmentId(get("CNI_CONTAINERID"), get("CNI_IFNAME")),
        netns.isEmpty() ? Optional.empty() : Optional.of(Path.of(netns)),
        args,
        Map.of());
  }

  /** Returns the context of the call. */
  CallContext context(Delegates delegates) {
    String override = get("CNI_NETNS_OVERRIDE");
    boolean allowsHostNamespace = override.equalsIgnoreCase("true") || override.equals("1");
    return new CallContext(
        hostNamespace,
        allowsHostNamespace,
        Deadline.none(),
        delegates,
        new TraceContext(variables));
  }

  /**
   * Requires that CNI_NETNS is not the namespace in which the plugin runs, unless
   * CNI_NETNS_OVERRIDE allows it, as skel does. A path that cannot be opened is left to the plugin.
   *
   * @throws CniException code 8 if it is
   */
  void requireOtherNamespace(CallContext context) throws CniException {
    if (context.allowsHostNamespace() || get("CNI_NETNS").isEmpty()) {
      return;
    }
    boolean same;
    try (NetNs netns = NetNs.open(Path.of(get("CNI_NETNS")))) {
      same = netns.identity().equals(hostIdentity());
    } catch (KernelException e) {
      return;
    }
    if (same) {
      throw new CniException(
          ErrorCode.INVALID_NAMESPACE,
          "CNI_NETNS "
              + get("CNI_NETNS")
              + " is the namespace that this plugin runs in; give the container's, or set"
              + " CNI_NETNS_OVERRIDE=1 if that is intended");
    }
  }

  private NetNs.Identity hostIdentity() throws KernelException {
    if (hostNamespace.isEmpty()) {
      return NetNs.ownIdentity();
    }
    try (NetNs host = NetNs.open(hostNamespace.get())) {
      return host.identity();
    }
  }
}
