// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * The plugins of the specification's examples, which record their requests and return the results
 * shown there.
 */
public abstract class SpecPlugin implements NetworkPlugin {
  /**
   * A recorded request.
   *
   * @param call the verb and the type, as "ADD bridge"
   * @param json the JSON that an executable would get
   */
  record Request(String call, ObjectNode json) {}

  static final List<Request> REQUESTS = Collections.synchronizedList(new ArrayList<>());

  private final String type;

  SpecPlugin(String type) {
    this.type = type;
  }

  /** Delegates to host-local. */
  public static final class Bridge extends SpecPlugin {
    /** Called by ServiceLoader. */
    public Bridge() {
      super("bridge");
    }
  }

  /** The delegate of bridge. */
  public static final class HostLocal extends SpecPlugin {
    /** Called by ServiceLoader. */
    public HostLocal() {
      super("host-local");
    }
  }

  /** Changes the result. */
  public static final class Tuning extends SpecPlugin {
    /** Called by ServiceLoader. */
    public Tuning() {
      super("tuning");
    }
  }

  /** Passes the result on unchanged. */
  public static final class Portmap extends SpecPlugin {
    /** Called by ServiceLoader. */
    public Portmap() {
      super("portmap");
    }
  }

  @Override
  public String type() {
    return type;
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    record("ADD", request);
    if (type.equals("portmap")) {
      return request.prevResult().orElseThrow();
    }
    if (type.equals("bridge")) {
      request.context().delegates().find("host-local").add(request);
    }
    return ResultJson.read(SpecExamplesTest.example(type + " result"), SpecVersion.V1_1_0);
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    record("CHECK", request);
    if (type.equals("bridge")) {
      request.context().delegates().find("host-local").check(request);
    }
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    record("DEL", request);
    if (type.equals("bridge")) {
      request.context().delegates().find("host-local").delete(request);
    }
  }

  private void record(String verb, AttachmentRequest request) throws CniException {
    ObjectNode json = Json.object();
    json.setAll(request.config().json());
    if (request.prevResult().isPresent()) {
      json.set("prevResult", ResultJson.write(request.prevResult().get(), SpecVersion.V1_1_0));
    }
    REQUESTS.add(new Request(verb + " " + type, json));
  }
}
