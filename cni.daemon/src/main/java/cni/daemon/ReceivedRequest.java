// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.util.Optional;

/**
 * A request and what shows whether the host can serve it as the caller would.
 *
 * @param request the request
 * @param image the image that the caller belongs to
 * @param mountNamespace the caller's mount namespace, in which its paths have a meaning
 * @param userNamespace the caller's user namespace
 * @param containerNamespace the namespace that CNI_NETNS leads to for the caller; absent if it
 *     leads nowhere
 */
record ReceivedRequest(
    CallerRequest request,
    ImageIdentity image,
    FileIdentity mountNamespace,
    FileIdentity userNamespace,
    Optional<FileIdentity> containerNamespace) {}
