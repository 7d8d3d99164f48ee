// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.LazyLogger;
import cni.api.internal.RegularFiles;
import cni.policy.file.PolicyFiles;
import cni.policy.file.PolicyReader;
import cni.policy.file.Problem;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What a data directory holds.
 *
 * @param host whose it is; absent before the first change, and if that is not known
 * @param policies absent before any have been put in force, and if their file is damaged
 * @param isDamaged whether a file could not be read: the kernel may have what it said
 */
record StoreContent(
    Optional<HostMark> host,
    Optional<List<Policy>> policies,
    PolicyState state,
    boolean isDamaged) {
  private static final LazyLogger LOG = new LazyLogger("cni.policy");

  /**
   * Reads a directory. One of an earlier boot holds nothing that is so any more.
   *
   * @throws IOException if it cannot be read; a file that is damaged does not matter
   */
  static StoreContent read(StoreFiles files) throws IOException {
    Optional<HostMark> host = readHost(files.host());
    if (host.filter(HostMark::isOfEarlierBoot).isPresent()) {
      return new StoreContent(host, Optional.empty(), PolicyState.EMPTY, false);
    }
    boolean isDamaged = false;
    Map<Endpoint.Id, Endpoint> all = new HashMap<>();
    for (Path file : list(files.endpoints())) {
      Optional<Endpoint> endpoint = readEndpoint(files, file);
      endpoint.ifPresent(it -> all.put(it.id(), it));
      isDamaged |= endpoint.isEmpty();
    }
    Optional<List<Policy>> policies = readPolicies(files.policies());
    var state = new PolicyState(policies.orElse(List.of()), all, Set.of(), Set.of());
    Optional<PolicyState> guarded = readGuards(files.guards(), state);
    return new StoreContent(
        host, policies, guarded.orElseGet(() -> withGuards(state)), isDamaged || guarded.isEmpty());
  }

  /** Returns the content after a change of an undamaged directory. */
  static StoreContent of(HostMark host, PolicyState state) {
    return new StoreContent(Optional.of(host), Optional.of(state.policies()), state, false);
  }

  /** Returns whether the machine has restarted since the directory was written. */
  boolean isOfEarlierBoot() {
    return host.filter(HostMark::isOfEarlierBoot).isPresent();
  }

  /** Returns the files of a directory. */
  static List<Path> list(Path directory) throws IOException {
    List<Path> all = new ArrayList<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      files.forEach(all::add);
      return all;
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
  }

  private static Optional<HostMark> readHost(Path file) throws IOException {
    try {
      byte[] text = RegularFiles.readState(file);
      return Optional.of(HostMark.parse(new String(text, StandardCharsets.US_ASCII)));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  /** Returns the policies; absent if the file is damaged: then those of the files apply. */
  private static Optional<List<Policy>> readPolicies(Path file) throws IOException {
    byte[] text;
    try {
      text = RegularFiles.readState(file);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
    PolicyFiles read = PolicyReader.read(text, file);
    if (!read.problems().isEmpty()) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "the policies in force are not known, those of the files replace them: "
                  + Problem.join(read.problems()));
      return Optional.empty();
    }
    return Optional.of(read.policies());
  }

  /**
   * Reads the file of an attachment; empty if it is damaged or none. Without its elements in the
   * kernel, the guards keep the container unreachable until it is repaired.
   */
  private static Optional<Endpoint> readEndpoint(StoreFiles files, Path file) throws IOException {
    try {
      if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        throw new CniException(ErrorCode.DECODING_FAILURE, "not a regular file");
      }
      Endpoint endpoint = EndpointJson.read(Json.parse(RegularFiles.readState(file), "" + file));
      if (!files.endpoint(endpoint.id()).equals(file)) {
        throw new CniException(
            ErrorCode.DECODING_FAILURE,
            "it is " + files.endpoint(endpoint.id()).getFileName() + " by its content");
      }
      return Optional.of(endpoint);
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, file + " is not the file of an attachment", e);
      return Optional.empty();
    }
  }

  /** Returns a state with guards; empty if the file is damaged. */
  private static Optional<PolicyState> readGuards(Path file, PolicyState state) throws IOException {
    try {
      byte[] text = RegularFiles.readState(file);
      return Optional.of(GuardsJson.read(Json.parse(text, file.toString()), state));
    } catch (NoSuchFileException e) {
      return Optional.of(state);
    } catch (CniException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              file
                  + " is damaged: containers without policies on the bridges of others may be"
                  + " unreachable",
              e);
      return Optional.empty();
    }
  }

  /** Returns a state with the guards of its endpoints' networks. */
  private static PolicyState withGuards(PolicyState state) {
    Set<PolicyState.Guard> guards = new HashSet<>(state.guards());
    for (Endpoint endpoint : state.endpoints().values()) {
      for (Cidr address : endpoint.addresses()) {
        guards.add(new PolicyState.Guard(address.network(), endpoint.bridge()));
      }
    }
    return state.withGuards(guards, state.exempt());
  }
}
