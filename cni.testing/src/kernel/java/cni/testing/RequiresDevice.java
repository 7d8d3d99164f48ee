// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A {@link KernelTest} that needs kinds of devices, filters or options that not every kernel has.
 * Where one is missing the test is skipped and names it; with the environment variable {@code
 * CNI_TEST_DEVICES} set it fails instead. Its tag is {@code device}, by which {@code
 * .ci/device-tests} selects the tests to run on a kernel that has all of them.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(DeviceCondition.class)
@Tag("device")
public @interface RequiresDevice {
  /** Returns what the kernel must have. */
  Device[] value();

  /** What a kernel may lack. */
  enum Device {
    DUMMY("ip link add name dummy1 type dummy"),
    IPVLAN(DeviceProbe.VETH + " && ip link add link veth1 name ipvlan1 type ipvlan mode l2"),
    VLAN(DeviceProbe.VETH + " && ip link add link veth1 name vlan7 type vlan id 7"),
    VLAN_FILTERING("ip link add name br1 type bridge vlan_filtering 1"),
    VRF("ip link add name vrf1 type vrf table 9"),
    MATCHALL(DeviceProbe.FILTER + " matchall action pass"),
    FLOWER(DeviceProbe.FILTER + " protocol ip flower action pass");

    private final String script;

    Device(String script) {
      this.script = script;
    }

    /** Returns a shell script that succeeds in a namespace of its own if the kernel has it. */
    String script() {
      return script;
    }
  }
}
