package cni.runtime;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.SpecVersion;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A network that containers are attached to: the chain of plugins of a configuration (SPEC section
 * 3).
 */
public final class Network {
  private static final System.Logger LOG = System.getLogger("cni.runtime");

  private final NetworkConfig config;
  private final Cni cni;

  Network(NetworkConfig config, Cni cni) {
    this.config = config;
    this.cni = cni;
  }

  /** The network's name. */
  public String name() {
    return config.name();
  }

  /** The network's configuration. */
  public NetworkConfig config() {
    return config;
  }

  /**
   * Attaches a container (ADD).
   *
   * @return what there is afterwards; it is also kept for {@link #check} and {@link #delete}
   * @throws CniException if a plugin fails, with the plugin's code. What the chain had done until
   *     then has been deleted. Code 11 if the time is up or the thread is interrupted.
   */
  public Result add(Attachment attachment) throws CniException {
    attachment.requireValid();
    if (attachment.namespace().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "the path of the container's namespace (CNI_NETNS) is missing");
    }
    CallContext context = cni.context();
    try (var _ = cni.locks().acquire(attachment.containerId(), context.deadline())) {
      var addition = new Addition(attachment, context);
      try {
        Result result = addition.run();
        cni.cache().put(config, attachment, result);
        return result;
      } catch (CniException | RuntimeException | Error e) {
        addition.rollback.after(e);
        throw e;
      }
    }
  }

  /** One ADD through the chain, and how to take it back. */
  private final class Addition {
    final Rollback rollback = new Rollback();
    private final Attachment attachment;
    private final CallContext context;
    private Optional<Result> previous = Optional.empty();

    Addition(Attachment attachment, CallContext context) {
      this.attachment = attachment;
      this.context = context;
    }

    Result run() throws CniException {
      List<Plugins.Resolved> chain = new ArrayList<>();
      for (PluginConfig plugin : config.plugins()) { // all of it has to be there before any begins
        chain.add(cni.plugins().resolve(plugin.type()));
        requireVersion(chain.getLast());
      }
      for (int i = 0; i < chain.size(); i++) {
        PluginConfig plugin = config.plugins().get(i);
        context.deadline().check("ADD by " + plugin.type());
        previous = Optional.of(add(plugin, chain.get(i)));
      }
      return previous.orElseThrow();
    }

    private Result add(PluginConfig plugin, Plugins.Resolved resolved) throws CniException {
      Rollback.Step delete =
          () ->
              resolved.plugin().delete(request(plugin, attachment, previous, context.forCleanup()));
      boolean keep = false;
      try {
        return resolved.plugin().add(request(plugin, attachment, previous, context));
      } catch (CniException e) {
        // A module that fails takes back what it did, and only it knows what was there before. An
        // executable is known not to, and gets a DEL even when it fails; but not where the failure
        // may be that there is an earlier attachment, which a DEL would take down.
        keep = resolved.module() || cni.cache().has(config, attachment);
        throw in(plugin, "ADD", e);
      } catch (RuntimeException e) {
        throw unexpected(plugin, "ADD", e);
      } finally {
        if (!keep) {
          rollback.add(delete);
        }
      }
    }
  }

  /** A module can be asked at no cost; an executable finds out for itself. */
  private void requireVersion(Plugins.Resolved resolved) throws CniException {
    if (resolved.module() && !resolved.plugin().versions().contains(config.version())) {
      throw new CniException(
          ErrorCode.INCOMPATIBLE_VERSION,
          "network %s is configured for version %s; plugin %s supports %s"
              .formatted(
                  config.name(),
                  config.version(),
                  resolved.plugin().type(),
                  resolved.plugin().versions().stream().sorted().toList()));
    }
  }

  /**
   * Compares an attachment with what was made (CHECK).
   *
   * @throws CniException what is missing or different, with the plugin's code; code 1 before
   *     version 0.4.0, which has no CHECK
   */
  public void check(Attachment attachment) throws CniException {
    attachment.requireValid();
    if (!config.version().atLeast(SpecVersion.V0_4_0)) {
      throw new CniException(
          ErrorCode.INCOMPATIBLE_VERSION,
          "network %s has cniVersion %s; CHECK exists since 0.4.0"
              .formatted(config.name(), config.version()));
    }
    if (config.disableCheck()) {
      return;
    }
    CallContext context = cni.context();
    try (var _ = cni.locks().acquire(attachment.containerId(), context.deadline())) {
      Optional<Result> previous = cni.cache().get(config, attachment);
      for (PluginConfig plugin : config.plugins()) {
        Plugins.Resolved resolved = cni.plugins().resolve(plugin.type());
        requireVersion(resolved);
        context.deadline().check("CHECK by " + plugin.type());
        try {
          resolved.plugin().check(request(plugin, attachment, previous, context));
        } catch (CniException e) {
          throw in(plugin, "CHECK", e);
        } catch (RuntimeException e) {
          throw unexpected(plugin, "CHECK", e);
        }
      }
    }
  }

  /**
   * Detaches a container (DEL). What is gone already is no error.
   *
   * @throws CniException if a plugin fails, with the plugin's code; the result is kept then, so
   *     that it can be tried again
   */
  public void delete(Attachment attachment) throws CniException {
    attachment.requireValid();
    CallContext context = cni.context();
    try (var _ = cni.locks().acquire(attachment.containerId(), context.deadline())) {
      Optional<Result> previous = previousForDelete(attachment);
      List<PluginConfig> plugins = config.plugins();
      for (PluginConfig plugin : plugins.reversed()) {
        Plugins.Resolved resolved = cni.plugins().resolve(plugin.type());
        context.deadline().check("DEL by " + plugin.type());
        try {
          resolved.plugin().delete(request(plugin, attachment, previous, context));
        } catch (CniException e) {
          throw in(plugin, "DEL", e);
        } catch (RuntimeException e) {
          throw unexpected(plugin, "DEL", e);
        }
      }
      cni.cache().remove(config, attachment);
    }
  }

  /** A result that cannot be read must not keep anything from being deleted. */
  private Optional<Result> previousForDelete(Attachment attachment) {
    if (!config.version().atLeast(SpecVersion.V0_4_0)) {
      return Optional.empty();
    }
    try {
      return cni.cache().get(config, attachment);
    } catch (CniException e) {
      LOG.log(System.Logger.Level.WARNING, "DEL goes on without it: " + e.getMessage());
      return Optional.empty();
    }
  }

  private AttachmentRequest request(
      PluginConfig plugin, Attachment attachment, Optional<Result> previous, CallContext context)
      throws CniException {
    PluginConfig derived =
        plugin.forRequest(config.name(), config.version(), attachment.capabilityArgs());
    return new AttachmentRequest(derived, attachment, previous, context);
  }

  private CniException in(PluginConfig plugin, String verb, CniException e) {
    return e.in("network " + config.name() + ", " + verb + " by " + plugin.type());
  }

  /** What a plugin must not throw: a mistake in it, told as the specification's error. */
  private CniException unexpected(PluginConfig plugin, String verb, RuntimeException e) {
    return in(plugin, verb, new CniException(ErrorCode.INTERNAL, "unexpected " + e, e));
  }
}
