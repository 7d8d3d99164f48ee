package cni.api;

/**
 * The key of an attachment, unique within a network.
 *
 * @param containerId the container's id (CNI_CONTAINERID)
 * @param interfaceName the name of the interface inside the container (CNI_IFNAME)
 */
public record AttachmentId(String containerId, String interfaceName) {}
