package ${package};

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import cni.api.Result;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * An ipam plugin, which interface plugins delegate to: assigns the {@code address} of the {@code
 * ipam} section. Yours will choose one, store the choice before it returns, and release it in DEL
 * and, for attachments that are not valid any more, in GC.
 */
public final class Plugin implements NetworkPlugin {
  /** For ServiceLoader. */
  public Plugin() {}

  @Override
  public String type() {
    return "${artifactId}";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.IPAM);
  }

  /**
   * Reads the address from a configuration.
   *
   * @throws CniException code 7 if it is missing or invalid
   */
  static Result.IpConfig address(PluginConfig config) throws CniException {
    ConfigObject ipam = config.requireIpam("${artifactId}");
    Cidr address =
        ipam.parsed("address", Cidr::parse)
            .orElseThrow(
                () -> ipam.invalid("address", "is missing: give one such as 10.9.0.2/24"));
    return new Result.IpConfig(
        address, ipam.parsed("gateway", InetAddresses::parse), OptionalInt.empty());
  }

  /** Returns the addresses alone: the interface is the delegating plugin's. */
  @Override
  public Result add(AttachmentRequest request) throws CniException {
    return new Result(List.of(), List.of(address(request.config())), List.of(), Dns.NONE);
  }

  /** Requires that the attachment has the address that this plugin assigns. */
  @Override
  public void check(AttachmentRequest request) throws CniException {
    Cidr assigned = address(request.config()).address();
    List<Result.IpConfig> present = request.requirePrevResult().ips();
    if (present.stream().noneMatch(ip -> ip.address().equals(assigned))) {
      throw new CniException(
          ErrorCode.INTERNAL, "prevResult has not the address " + assigned + " but " + present);
    }
  }

  /** Does nothing, as nothing is stored. */
  @Override
  public void delete(AttachmentRequest request) {}

  @Override
  public void status(NetworkRequest request) throws CniException {
    address(request.config());
  }
}
