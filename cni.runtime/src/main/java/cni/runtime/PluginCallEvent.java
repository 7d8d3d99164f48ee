// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** One call of a plugin, for Java Flight Recorder: {@code jfr print --events cni.PluginCall}. */
@Name("cni.PluginCall")
@Label("CNI Plugin Call")
@Category("CNI")
@Description("A call of a plugin, module or executable; calls of delegates are separate events")
@StackTrace(false)
final class PluginCallEvent extends Event {
  @Label("Verb")
  String verb = "";

  @Label("Plugin Type")
  String type = "";

  @Label("Origin")
  @Description("The module, or the executable's file")
  String origin = "";

  @Label("Network")
  String network = "";

  @Label("Container")
  String containerId = "";

  @Label("Interface")
  String interfaceName = "";

  @Label("Error Code")
  @Description("0 if it succeeded")
  int errorCode;

  @Label("Error")
  String error = "";
}
