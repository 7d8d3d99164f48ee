package ${package};

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.Optional;

/**
 * A chained plugin that sets the alias of the container's interface, which {@code ip link} shows, to
 * the configuration's {@code "alias"}. It must follow the plugin that creates the interface.
 */
public final class Plugin implements NetworkPlugin {
  /** IFALIASZ of linux/if.h without the terminating zero. */
  private static final int MAX_LENGTH = 255;

  /** For ServiceLoader. */
  public Plugin() {}

  @Override
  public String type() {
    return "${artifactId}";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.CHAINED);
  }

  /**
   * Reads the alias from a configuration.
   *
   * @throws CniException code 7 if it is not a string, or too long
   */
  static String alias(PluginConfig config) throws CniException {
    String alias = config.view().nonEmpty("alias").orElse("attached by ${artifactId}");
    if (alias.length() > MAX_LENGTH) {
      throw config.view().invalid("alias", "must not be longer than " + MAX_LENGTH + " characters");
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
                        "prevResult is missing: ${artifactId} must follow a plugin that creates the"
                            + " interface"));
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      // Inside the try block: the steps that undo a failed ADD need the sessions that it closes.
      return rollback.guard(
          "setting the alias",
          () -> {
            setAlias(request, container, alias, rollback);
            return previous;
          });
    }
  }

  private static void setAlias(
      AttachmentRequest request, NetNsSession container, String alias, Rollback rollback)
      throws CniException, IOException {
    Link link = findLink(request, container).orElseThrow(() -> missingLink(request));
    container.rtnetlink().execute(LinkRequests.setAlias(link.index(), alias));
    // Runs if anything that follows fails. After each change add the step that undoes it.
    rollback.add(
        () -> container.rtnetlink().execute(LinkRequests.setAlias(link.index(), link.alias())));
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    String alias = alias(request.config());
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      Link link = findLink(request, container).orElseThrow(() -> missingLink(request));
      if (!link.alias().equals(alias)) {
        throw new CniException(
            ErrorCode.INTERNAL,
            "the alias of %s is \"%s\", expected \"%s\""
                .formatted(link.name(), link.alias(), alias));
      }
    } catch (IOException e) {
      throw NetNsSession.failure("reading the alias", e);
    }
  }

  /** Succeeds if the namespace, the interface or the previous result is missing. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      NetNsSession.<IOException>runIfPresent(
          request,
          host,
          container -> {
            Optional<Link> link = findLink(request, container);
            if (link.isPresent()) {
              container.rtnetlink().execute(LinkRequests.setAlias(link.get().index(), ""));
            }
          });
    } catch (IOException e) {
      throw NetNsSession.failure("removing the alias", e);
    }
  }

  private static Optional<Link> findLink(AttachmentRequest request, NetNsSession container)
      throws IOException {
    return container.rtnetlink().link(request.attachment().interfaceName());
  }

  private static CniException missingLink(AttachmentRequest request) {
    return new CniException(
        ErrorCode.INVALID_CONFIG,
        "interface " + request.attachment().interfaceName() + " does not exist in the container");
  }
}
