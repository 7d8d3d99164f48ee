// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.plugins.etcd.HistorySource.Event;
import cni.plugins.etcd.HistorySource.Revision;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The checks of single states, by histories each of which violates one of them. */
class AllocationHistoryTest {
  private static final String BLOCK = "10.1.0.0-26";
  private static final String V6_BLOCK = "fd00::-122";

  private final List<Revision> revisions = new ArrayList<>();

  private void revision(Event... events) {
    revisions.add(new Revision(revisions.size() + 1L, List.of(events)));
  }

  private static Event put(String key, String value) {
    return new Event("cni/" + key, value);
  }

  private static Event delete(String key) {
    return new Event("cni/" + key, null);
  }

  private static Event claim(String block, String node) {
    return put("claims/net/" + block, "{\"node\":\"%s\"}".formatted(node));
  }

  private static Event used(String node, String block, String used) {
    return put(
        "blocks/net/%s/%s".formatted(node, block), "{\"used\":\"%s\",\"next\":5}".formatted(used));
  }

  private static Event handle(String container, String addresses) {
    return put("handles/net/a/%s/eth0".formatted(container), addresses(addresses));
  }

  /** Returns a list of addresses, from words such as {@code ADDRESS|BLOCK|OWNER}. */
  private static String addresses(String words) {
    List<String> entries = new ArrayList<>();
    for (String word : words.split(" ", -1)) {
      String[] parts = word.split("\\|", -1);
      entries.add(
          "{\"address\":\"%s\",\"block\":\"%s\",\"owner\":\"%s\"}"
              .formatted(parts[0], parts[1], parts[2]));
    }
    return "{\"addresses\":[" + String.join(",", entries) + "],\"name\":\"pod\"}";
  }

  private List<String> violations() throws Exception {
    return new AllocationHistory("cni", () -> revisions).violations();
  }

  private void assertViolations(String... expected) throws Exception {
    assertEquals(List.of(expected), violations());
  }

  /** Adds a correct state: a holds 10.1.0.2 and fd00::3. */
  private void addFirstContainer() {
    revision(
        claim(BLOCK, "a"),
        used("a", BLOCK, "4"),
        claim(V6_BLOCK, "a"),
        used("a", V6_BLOCK, "8"),
        handle("c1", "10.1.0.2|10.1.0.0-26|a fd00::3|fd00::-122|a"));
  }

  @Test
  void correctHistoryHasNoViolations() throws Exception {
    revision(put("schema", "1"), put("nodes/a", "{}"), put("alive/a", "x"), put("networks/n", ""));
    addFirstContainer();
    revision(used("a", BLOCK, "8000000000000004"), handle("c2", "10.1.0.63|10.1.0.0-26|a"));
    revision(
        delete("handles/net/a/c2/eth0"),
        put("sticky/net/pod", addresses("10.1.0.63|10.1.0.0-26|a")));
    revision(
        delete("handles/net/a/c1/eth0"),
        used("a", BLOCK, "8000000000000000"),
        delete("blocks/net/a/" + V6_BLOCK),
        delete("claims/net/" + V6_BLOCK));
    revision(new Event("elsewhere", "x"), new Event("cnix/handles", "x"));
    assertViolations();
  }

  @Test
  void addressesOfOtherNetworksAreIndependent() throws Exception {
    addFirstContainer();
    revision(
        put("claims/other/" + BLOCK, "{\"node\":\"b\"}"),
        put("blocks/other/b/" + BLOCK, "{\"used\":\"4\",\"next\":0}"),
        put("handles/other/b/c1/eth0", addresses("10.1.0.2|10.1.0.0-26|b")));
    assertViolations();
  }

  @Test
  void addressOfTwoHandlesIsFound() throws Exception {
    addFirstContainer();
    revision(handle("c2", "10.1.0.2|10.1.0.0-26|a"));
    assertViolations(
        "revision 2: 10.1.0.2 is held by handles/net/a/c1/eth0 and by handles/net/a/c2/eth0");
  }

  @Test
  void addressOfAHandleAndOfAStickyEntryIsFound() throws Exception {
    addFirstContainer();
    revision(put("sticky/net/pod", addresses("fd00:0::3|fd00::-122|a")));
    revision(delete("sticky/net/pod"));
    revision(put("sticky/net/pod", addresses("fd00::3|fd00::-122|a")));
    String violation = "fd00:0:0:0:0:0:0:3 is held by handles/net/a/c1/eth0 and by sticky/net/pod";
    assertViolations("revision 2: " + violation); // once, however often it appears
  }

  @Test
  void addressTwiceInAHandleIsFound() throws Exception {
    addFirstContainer();
    revision(handle("c1", "10.1.0.2|10.1.0.0-26|a 10.1.0.2|10.1.0.0-26|a fd00::3|fd00::-122|a"));
    assertViolations(
        "revision 2: 10.1.0.2 is held by handles/net/a/c1/eth0 and by handles/net/a/c1/eth0");
  }

  @Test
  void leakedBitIsFoundAtItsRevisionOnly() throws Exception {
    addFirstContainer();
    revision(used("a", BLOCK, "5"));
    revision(put("nodes/b", "{}"));
    assertViolations("revision 2: 10.1.0.0 of block net/a/10.1.0.0-26 is used and not held");
  }

  @Test
  void missingBitIsFound() throws Exception {
    addFirstContainer();
    revision(handle("c2", "fd00::3f|fd00::-122|a"));
    assertViolations(
        "revision 2: fd00:0:0:0:0:0:0:3f of block net/a/fd00::-122 is held and not used");
  }

  @Test
  void bitOutsideItsBlockIsFound() throws Exception {
    addFirstContainer();
    revision(used("a", BLOCK, "10000000000000004"));
    assertViolations(
        "revision 2: block net/a/10.1.0.0-26 has used bits outside: 10000000000000004");
  }

  @Test
  void addressOutsideItsBlockIsFound() throws Exception {
    addFirstContainer();
    revision(handle("c2", "10.1.0.64|10.1.0.0-26|a"));
    revision(handle("c2", "fd00::7|10.1.0.0-26|a"));
    assertViolations(
        "revision 2: 10.1.0.64 of handles/net/a/c2/eth0 is outside its block 10.1.0.0-26",
        "revision 3: fd00:0:0:0:0:0:0:7 of handles/net/a/c2/eth0 is outside its block 10.1.0.0-26");
  }

  @Test
  void wrongOwnerIsFound() throws Exception {
    addFirstContainer();
    revision(used("a", BLOCK, "c"), handle("c2", "10.1.0.3|10.1.0.0-26|b"));
    assertViolations(
        "revision 2: 10.1.0.3 of block net/a/10.1.0.0-26 is used and not held",
        "revision 2: 10.1.0.3 of handles/net/a/c2/eth0 is in block net/b/10.1.0.0-26,"
            + " which does not exist");
  }

  @Test
  void blockWithoutClaimIsFound() throws Exception {
    addFirstContainer();
    revision(delete("claims/net/" + BLOCK));
    assertViolations("revision 2: block net/a/10.1.0.0-26 has no claim");
  }

  @Test
  void claimOfAnotherNodeIsFound() throws Exception {
    addFirstContainer();
    revision(claim(BLOCK, "b"));
    assertViolations(
        "revision 2: block net/a/10.1.0.0-26 is claimed by b",
        "revision 2: claims/net/10.1.0.0-26 of b has no block");
  }

  @Test
  void blockOfTwoNodesIsFound() throws Exception {
    addFirstContainer();
    revision(used("b", BLOCK, "8"), handle("c2", "10.1.0.3|10.1.0.0-26|b"));
    assertViolations("revision 2: block net/b/10.1.0.0-26 is claimed by a");
  }

  @ParameterizedTest
  @ValueSource(strings = {"10.1.0.32-27", "10.1.0.0-27", "10.1.0.0-25", "10.1.0.0-24"})
  void overlappingClaimsAreFound(String other) throws Exception {
    addFirstContainer();
    String address = other.startsWith("10.1.0.32") ? "10.1.0.33" : "10.1.0.1";
    revision(claim(other, "b"), used("b", other, "2"), handle("c2", address + "|" + other + "|b"));
    List<String> violations = violations();
    assertEquals(1, violations.size(), violations.toString());
    assertTrue(violations.getFirst().endsWith(" overlap in net"), violations.toString());
  }

  @Test
  void claimWithinAnEarlierAndWiderOneIsFound() throws Exception {
    revision(
        claim("10.1.0.0-24", "a"),
        used("a", "10.1.0.0-24", "1"),
        handle("c1", "10.1.0.0|10.1.0.0-24|a"),
        claim("10.1.0.16-28", "b"),
        used("b", "10.1.0.16-28", "1"),
        handle("c2", "10.1.0.16|10.1.0.16-28|b"),
        claim("10.1.0.128-28", "c"),
        used("c", "10.1.0.128-28", "1"),
        handle("c3", "10.1.0.128|10.1.0.128-28|c"));
    assertViolations(
        "revision 1: the claims 10.1.0.0-24 of a and 10.1.0.128-28 of c overlap in net",
        "revision 1: the claims 10.1.0.0-24 of a and 10.1.0.16-28 of b overlap in net");
  }

  @Test
  void emptyBlockIsFound() throws Exception {
    addFirstContainer();
    revision(used("a", BLOCK, "0"), handle("c1", "fd00::3|fd00::-122|a"));
    assertViolations("revision 2: block net/a/10.1.0.0-26 has no used address");
  }

  @Test
  void claimWithoutBlockIsFound() throws Exception {
    revision(claim(BLOCK, "a"));
    assertViolations("revision 1: claims/net/10.1.0.0-26 of a has no block");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "blocks/net/a/10.1.0.0-26 {\"used\":4}",
        "blocks/net/a/10.1.0.0-26 {\"used\":\"xyz\"}",
        "blocks/net/a/10.1.0.0-26 no-json",
        "claims/net/10.1.0.1-26 {\"node\":\"a\"}",
        "claims/net/10.1.0.0 {\"node\":\"a\"}",
        "claims/net/10.1.0.0-33 {\"node\":\"a\"}",
        "claims/net/host.test-26 {\"node\":\"a\"}",
        "handles/net/a/c1/eth0 {\"addresses\":[]}",
        "handles/net/a/c1 {\"addresses\":[]}",
        "unknown/net {}"
      })
  void malformedKeyIsFound(String text) throws Exception {
    String[] words = text.split(" ", 2);
    revision(put(words[0], words[1]));
    List<String> violations = violations();
    assertEquals(1, violations.size(), violations.toString());
    assertTrue(violations.getFirst().startsWith("revision 1: " + words[0] + " = "));
  }

  @Test
  void revisionsMustAscend() {
    revision();
    revisions.add(new Revision(1, List.of()));
    assertThrows(IllegalArgumentException.class, this::violations);
  }
}
