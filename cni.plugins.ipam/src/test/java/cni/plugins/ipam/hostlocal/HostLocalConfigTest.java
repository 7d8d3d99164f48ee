// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.PluginConfig;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class HostLocalConfigTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"x\":1|must list a range",
        "\"subnet\":\"10.1.0.0/31\"|too small",
        "\"subnet\":\"fd00::/127\"|too small",
        "\"subnet\":\"10.1.0.5/24\"|use 10.1.0.0/24",
        "\"subnet\":\"10.1.0.0\"|ipam.subnet",
        "\"subnet\":5|must be a string",
        "\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"10.2.0.1\"|ipam.rangeStart",
        "\"subnet\":\"10.1.0.0/24\",\"rangeEnd\":\"fd00::1\"|ipam.rangeEnd",
        "\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"10.1.0.9\",\"rangeEnd\":\"10.1.0.8\"|after the range's end",
        "\"subnet\":\"10.1.0.0/24\",\"gateway\":\"fd00::1\"|ipam.gateway",
        "\"ranges\":[[]]|ipam.ranges[0] [] is empty",
        "\"ranges\":[{\"subnet\":\"10.1.0.0/24\"}]|ipam.ranges[0] must be a list",
        "\"ranges\":[[{}]]|ipam.ranges[0][0].subnet",
        "\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"},{\"subnet\":\"fd00::/64\"}]]|mixes",
        "\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"},{\"subnet\":\"10.1.0.0/16\"}]]|overlap",
        "\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"}],[{\"subnet\":\"10.1.0.0/16\"}]]|overlap",
        "\"subnet\":\"10.1.0.0/24\",\"routes\":[{\"gw\":\"10.1.0.1\"}]|ipam.routes[0].dst",
      })
  void invalidConfigurationIsReportedWithItsKey(String ipam, String part) throws Exception {
    PluginConfig config = HostLocalPluginTest.config(ipam, "");
    CniException e = assertThrows(CniException.class, () -> HostLocalConfig.parse(config));
    assertEquals(7, e.code());
    assertTrue(e.getMessage().contains(part), e::getMessage);
  }
}
