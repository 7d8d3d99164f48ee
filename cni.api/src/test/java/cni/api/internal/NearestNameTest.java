// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NearestNameTest {
  private static final List<String> KNOWN =
      List.of("add", "del", "gc", "conformance", "completion", "portMappings", "bandwidth", "-p");

  @ParameterizedTest
  @CsvSource({
    "portMapings, portMappings", // a character missing
    "portmappings, portMappings", // another case
    "PROTMAPPING, portMappings", // swapped and missing
    "badnwitdh, bandwidth", // two swaps
    "ad, add",
    "dell, del",
    "conform, conformance", // an abbreviation
    "bandwidth-limit, bandwidth", // an extension
    "--p, -p",
  })
  void theNearestKnownNameIsFound(String given, String nearest) {
    assertEquals(Optional.of(nearest), NearestName.of(given, KNOWN));
  }

  @ParameterizedTest
  @CsvSource({
    "foo", // conformance has its letters, but is far longer
    "con", // too short to abbreviate
    "xy", // shares no character with gc
    "rm",
    "''",
    "add-a-network", // add is too short to be extended
    "portMapsAreFine",
    "conformanceconformanceconformanceconformanceconformanceconformanceconformance",
  })
  void aNameThatIsFarFromAllHasNone(String given) {
    assertEquals(Optional.empty(), NearestName.of(given, KNOWN));
  }

  @ParameterizedTest
  @CsvSource({"abcx, abcd", "abcdefxx, abcdefgh", "abcdefghixxx, abcdefghijkl"})
  void oneTwoOrThreeCharactersMayDiffer(String given, String known) {
    assertEquals(Optional.of(known), NearestName.of(given, List.of(known)));
  }

  @ParameterizedTest
  @CsvSource({"abxx, abcd", "abcdexxx, abcdefgh", "abcdefghxxxx, abcdefghijkl"})
  void notOneMore(String given, String known) {
    assertEquals(Optional.empty(), NearestName.of(given, List.of(known)));
  }

  @ParameterizedTest
  @CsvSource({"abcd, abcd", "abce, abcd"})
  void ofSeveralTheNearestOrElseTheFirst(String given, String nearest) {
    assertEquals(Optional.of(nearest), NearestName.of(given, List.of("abxd", "abcd", "abcf")));
  }
}
