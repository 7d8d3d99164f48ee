// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.util.Optional;

/**
 * A request about one attachment: ADD, DEL or CHECK.
 *
 * @param config the plugin's configuration, derived for this request
 * @param attachment the attachment
 * @param prevResult on ADD the result of the preceding plugin of the chain, on DEL and CHECK the
 *     final result of the ADD; absent on ADD of the first plugin and on DEL if it is not known
 * @param context the context of the call
 */
public record AttachmentRequest(
    PluginConfig config, Attachment attachment, Optional<Result> prevResult, CallContext context)
    implements PluginRequest {
  /** Checks that no argument is null. */
  public AttachmentRequest {
    requireNonNull(config, "config");
    requireNonNull(attachment, "attachment");
    requireNonNull(prevResult, "prevResult");
    requireNonNull(context, "context");
  }

  /**
   * Returns the path of the container's network namespace, for verbs that need it.
   *
   * @throws CniException code 4 if the request has none
   */
  public Path requireNamespace() throws CniException {
    return attachment
        .namespace()
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INVALID_PARAMETER,
                    "the path of the container's namespace (CNI_NETNS) is missing"));
  }

  /**
   * Returns the previous result, which CHECK needs.
   *
   * @throws CniException code 7 if the request has none
   */
  public Result requirePrevResult() throws CniException {
    return prevResult.orElseThrow(
        () ->
            new CniException(
                ErrorCode.INVALID_CONFIG,
                "prevResult is missing: CHECK needs the result of the ADD"));
  }

  /**
   * Returns a copy with a separate deadline, for undoing a failed operation.
   *
   * @see CallContext#forCleanup
   */
  public AttachmentRequest forCleanup() {
    return new AttachmentRequest(config, attachment, prevResult, context.forCleanup());
  }
}
