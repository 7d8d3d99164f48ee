package ${package};

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.Optional;

/**
 * Writes a text on the container's interface, where {@code ip link} shows it: {@code "alias"} of
 * the configuration. It comes after the plugin that makes the interface.
 */
public final class Plugin implements NetworkPlugin {
  /** The longest text that the kernel takes, IFALIASZ of linux/if.h without its zero. */
  private static final int LONGEST = 255;

  /** The plugin as its host makes it. */
  public Plugin() {}

  @Override
  public String type() {
    return "${artifactId}";
  }

  /** The text; an error names the key and says what would be right. */
  static String alias(PluginConfig config) throws CniException {
    String alias = config.view().nonEmpty("alias").orElse("attached by ${artifactId}");
    if (alias.length() > LONGEST) {
      throw config.view().invalid("alias", "must not be longer than " + LONGEST + " characters");
    }
    return alias;
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    String alias = alias(request.config());
    Result previous =
        request
            .prevResult()
            .orElseThrow(
                () ->
                    new CniException(
                        ErrorCode.INVALID_CONFIG,
                        "prevResult is missing: ${artifactId} must follow a plugin that makes the"
                            + " interface"));
    try (Namespace host = Namespace.ofHost(request.context());
        Namespace sandbox = Namespace.ofContainer(request, host)) {
      Link link = find(request, sandbox).orElseThrow(() -> missing(request));
      sandbox.routing().execute(LinkRequests.setAlias(link.index(), alias));
    } catch (IOException e) {
      throw Namespace.failure("writing the alias", e);
    }
    return previous; // it has not become another
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    String alias = alias(request.config());
    try (Namespace host = Namespace.ofHost(request.context());
        Namespace sandbox = Namespace.ofContainer(request, host)) {
      Link link = find(request, sandbox).orElseThrow(() -> missing(request));
      if (!link.alias().equals(alias)) {
        throw new CniException(
            ErrorCode.INTERNAL,
            "the alias of %s is \"%s\", expected \"%s\""
                .formatted(link.name(), link.alias(), alias));
      }
    } catch (IOException e) {
      throw Namespace.failure("reading the alias", e);
    }
  }

  /** What is gone already is no error: no namespace, no interface, no previous result. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (Namespace host = Namespace.ofHost(request.context())) {
      Optional<Namespace> open = Namespace.ofContainerIfPresent(request, host);
      if (open.isPresent()) {
        try (Namespace sandbox = open.get()) {
          Optional<Link> link = find(request, sandbox);
          if (link.isPresent()) {
            sandbox.routing().execute(LinkRequests.setAlias(link.get().index(), ""));
          }
        }
      }
    } catch (IOException e) {
      throw Namespace.failure("removing the alias", e);
    }
  }

  private static Optional<Link> find(AttachmentRequest request, Namespace sandbox)
      throws IOException {
    return sandbox.routing().link(request.attachment().interfaceName());
  }

  private static CniException missing(AttachmentRequest request) {
    return new CniException(
        ErrorCode.INVALID_CONFIG,
        "interface " + request.attachment().interfaceName() + " does not exist in the container");
  }
}
