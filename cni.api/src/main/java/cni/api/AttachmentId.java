package cni.api;

/**
 * What makes an attachment unique on a network.
 *
 * @param containerId the container
 * @param interfaceName the interface inside it
 */
public record AttachmentId(String containerId, String interfaceName) {}
