// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.Json;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

class UpdateTest {
  private static final Attachment ATTACHMENT =
      Attachment.of("c1", Path.of("/run/netns/c1"), "eth0");

  private FileSystem files;
  private Cni cni;

  @BeforeEach
  void attach() throws Exception {
    files =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
    Files.createDirectories(files.getPath("/net.d"));
    SettingsPlugin.SETTINGS.clear();
    configure("\"a\": \"1\", \"b\": \"2\", \"fixed\": \"3\"", "");
    cni = Cni.builder().networks(files.getPath("/net.d")).cache(files.getPath("/cache")).build();
    Map<String, JsonNode> capabilities = Map.of("c", StringNode.valueOf("9"));
    network().add(ATTACHMENT.withCapabilityArgs(capabilities));
    FakePlugin.CALLS.clear();
  }

  @AfterEach
  void close() throws IOException {
    FakePlugin.onCall = () -> {};
    SettingsPlugin.onNote = Differences.Action.NONE;
    assertEquals(0, SettingsPlugin.OPEN.get());
    assertEquals(List.of(), filesIn("updating"));
    cni.close();
    files.close();
  }

  private void configure(String settings, String more) throws IOException {
    Files.writeString(
        files.getPath("/net.d/n.conflist"),
        """
        { "cniVersion": "1.1.0", "name": "n",
          "plugins": [ { "type": "settings", "capabilities": { "c": true }, %s }, { "type": "second" }%s ] }
        """
            .formatted(settings, more));
  }

  private Network network() throws CniException {
    return cni.network("n");
  }

  private List<String> filesIn(String directory) throws IOException {
    Path path = files.getPath("/cache").resolve(directory);
    if (Files.notExists(path)) {
      return List.of();
    }
    try (var list = Files.list(path)) {
      return list.map(it -> it.getFileName().toString()).toList();
    }
  }

  private static AttachmentUpdate set(String key, String value) {
    return AttachmentUpdate.NONE.withKey("settings", key, StringNode.valueOf(value));
  }

  private UpdateReport update(AttachmentUpdate update) throws CniException {
    return network().update(ATTACHMENT.id(), update);
  }

  private CniException failure(AttachmentUpdate update) {
    return assertThrows(CniException.class, () -> update(update));
  }

  private static String setting(String key) {
    return SettingsPlugin.SETTINGS.getOrDefault("c1/" + key, "missing");
  }

  private static List<String> verbs() {
    return FakePlugin.CALLS.stream().map(it -> it.substring(0, it.indexOf(' '))).toList();
  }

  private CachedAttachment cached() throws CniException {
    return network().cachedAttachment(ATTACHMENT.id()).orElseThrow();
  }

  private String cachedSetting(String key) throws CniException {
    return cached().config().plugins().getFirst().json().path(key).asString("");
  }

  @Test
  void changesWhatDiffersAndStoresTheNewState() throws Exception {
    UpdateReport report = update(set("a", "5"));
    assertEquals(
        List.of(new UpdateReport.Step("settings", "a is 1, expected 5", Optional.of("set a to 5"))),
        report.steps());
    assertEquals("5", setting("a"));
    assertEquals("5", cachedSetting("a"));
    assertEquals("5", setting("a/noted"));
    String check = "CHECK second [eth0, second]"; // again after the change of the first plugin
    assertEquals(List.of(check, check), FakePlugin.CALLS);
    network().check(ATTACHMENT); // by the stored configuration and arguments
    assertEquals(List.of(), update(set("a", "5")).steps());
  }

  @Test
  void changesCapabilityArgumentsAndKeepsTheOthers() throws Exception {
    update(AttachmentUpdate.NONE.withCapabilityArg("c", StringNode.valueOf("8")));
    assertEquals("8", setting("c"));
    assertEquals(Map.of("c", StringNode.valueOf("8")), cached().attachment().capabilityArgs());
    update(AttachmentUpdate.NONE.withArg("LABEL", Optional.of("x")).withoutCapabilityArg("c"));
    assertEquals("", setting("c"));
    assertEquals(Map.of("LABEL", "x"), cached().attachment().args().toMap());
  }

  @Test
  void bringsTheAttachmentToTheNetworksFile() throws Exception {
    configure("\"a\": \"7\", \"b\": \"2\", \"fixed\": \"3\"", "");
    assertEquals(List.of(), network().repair(ATTACHMENT.id()).steps());
    update(AttachmentUpdate.NONE.withNetworkConfig());
    assertEquals("7", setting("a"));
  }

  @Test
  void dryRunChangesNothing() throws Exception {
    UpdateReport report = network().planUpdate(ATTACHMENT.id(), set("a", "5"));
    assertEquals(1, report.steps().size());
    assertEquals("1", setting("a"));
    assertEquals("1", cachedSetting("a"));
  }

  @Test
  void refusesWhatCannotChangeBeforeAnythingChanges() throws Exception {
    CniException e = failure(set("fixed", "4").withKey("settings", "a", StringNode.valueOf("5")));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().startsWith("fixed of plugin settings cannot change"), e.getMessage());
    assertEquals("1", setting("a"));
    assertEquals("3", cachedSetting("fixed"));
    CniException unknown =
        failure(AttachmentUpdate.NONE.withKey("bridge", "mtu", StringNode.valueOf("5")));
    assertEquals(
        "the chain has no plugin \"bridge\"; it has settings, second", unknown.getMessage());
  }

  @Test
  void refusesToReplaceOrMoveThePluginThatMadeTheInterface() {
    AttachmentUpdate removal = AttachmentUpdate.NONE.withoutPlugin("settings");
    assertTrue(failure(removal).getMessage().contains("settings creates the interface"));
    AttachmentUpdate moved =
        removal.withPlugin(Json.object().put("type", "settings").put("fixed", "3"));
    assertTrue(failure(moved).getMessage().contains("cannot move"));
  }

  @Test
  void recreatesIfThatIsAllowed() throws Exception {
    UpdateReport report = update(set("fixed", "4").allowRecreation());
    assertTrue(report.isRecreated());
    assertEquals("4", cachedSetting("fixed"));
    assertEquals("9", setting("c"));
    assertEquals(List.of("CHECK", "DEL", "ADD"), verbs());
  }

  @Test
  void aFailedRecreationRestoresTheAttachment() throws Exception {
    ObjectNode failing = Json.object().put("type", "second").put("ADD", "fail");
    AttachmentUpdate update =
        set("fixed", "4").withoutPlugin("second").withPlugin(failing).allowRecreation();
    assertEquals(107, failure(update).code());
    assertEquals("3", cachedSetting("fixed"));
    assertEquals("1", setting("a"));
  }

  @Test
  void pluginsThatCannotCompareGetDelAndAddWhenTheyChange() throws Exception {
    update(AttachmentUpdate.NONE.withKey("second", "x", StringNode.valueOf("y")));
    assertEquals(List.of("DEL", "ADD"), verbs());
    assertEquals(2, cached().result().interfaces().size());
  }

  @Test
  void repairCallsAPluginWhoseCheckFailsOnce() throws Exception {
    update(AttachmentUpdate.NONE.withKey("second", "CHECK", StringNode.valueOf("fail")));
    FakePlugin.CALLS.clear();
    UpdateReport report = network().repair(ATTACHMENT.id());
    assertEquals("as configured", report.steps().getFirst().finding());
    assertEquals("as configured", report.unrepaired().getFirst().finding());
    assertEquals(List.of("CHECK", "DEL", "ADD", "CHECK"), verbs());
  }

  @Test
  void appendsAndRemovesPlugins() throws Exception {
    update(AttachmentUpdate.NONE.withPlugin(Json.object().put("type", "first")));
    assertEquals("ADD first [eth0, second]", FakePlugin.CALLS.getLast());
    assertEquals(3, cached().result().interfaces().size());
    assertEquals(3, cached().config().plugins().size());
    FakePlugin.CALLS.clear();
    network().delete(ATTACHMENT); // the file has no plugin "first", the stored configuration does
    assertEquals("DEL first [eth0, second, first]", FakePlugin.CALLS.getFirst());
    assertEquals(2, FakePlugin.CALLS.size());
  }

  @Test
  void deletesByThePresentConfigurationIfTheStoredOneLeadsNowhere() throws Exception {
    update(set("a", "unreachable"));
    network().delete(ATTACHMENT);
    assertEquals("missing", setting("b"));
    assertTrue(network().cachedAttachment(ATTACHMENT.id()).isEmpty());
  }

  @Test
  void deleteFailsIfThePresentConfigurationCannotReplaceTheStoredOne() throws Exception {
    update(set("a", "unreachable"));
    configure("\"a\": \"1\", \"b\": \"2\", \"fixed\": \"4\"", "");
    CniException e = assertThrows(CniException.class, () -> network().delete(ATTACHMENT));
    assertTrue(e.is(ErrorCode.TRY_AGAIN_LATER), e::toString);
    assertEquals("2", setting("b"));
    configure("\"a\": \"1\", \"b\": \"2\", \"fixed\": \"3\"", "");
    network().delete(ATTACHMENT);
  }

  @Test
  void undoesEverythingIfAStepFails() throws Exception {
    ObjectNode failing = Json.object().put("type", "first").put("ADD", "fail");
    AttachmentUpdate update =
        set("a", "5").withKey("settings", "b", StringNode.valueOf("6")).withPlugin(failing);
    assertEquals(107, failure(update).code());
    assertEquals("1", setting("a"));
    assertEquals("2", setting("b"));
    assertEquals("1", cachedSetting("a"));
    assertFalse(SettingsPlugin.SETTINGS.containsKey("c1/a/noted"));
    CniException bad = failure(set("a", "5").withKey("settings", "b", StringNode.valueOf("bad")));
    assertEquals("network n, update by settings: set b to bad: bad value", bad.getMessage());
    assertEquals("1", setting("a"));
  }

  @Test
  void repairRestoresTheStoredState() throws Exception {
    SettingsPlugin.SETTINGS.remove("c1/b");
    CniException e = assertThrows(CniException.class, () -> network().check(ATTACHMENT));
    assertTrue(e.getMessage().contains("b is missing, expected 2"), e.getMessage());
    assertEquals(1, network().planRepair(ATTACHMENT.id()).steps().size());
    assertEquals(1, network().repair(ATTACHMENT.id()).steps().size());
    assertEquals("2", setting("b"));
    assertEquals(List.of(), network().repair(ATTACHMENT.id()).steps());
  }

  @Test
  void repairRestoresTheRestIfSomethingCannotBeRestored() throws Exception {
    SettingsPlugin.SETTINGS.put("c1/a", "gone");
    SettingsPlugin.SETTINGS.remove("c1/b");
    UpdateReport report = network().repair(ATTACHMENT.id());
    assertEquals("a is gone", report.unrepaired().getFirst().finding());
    assertEquals("2", setting("b"));
    assertTrue(failure(set("b", "3")).getMessage().startsWith("a is gone"));
  }

  /** Leaves what a process leaves that dies in an update, after it has made some changes. */
  private void interrupt(AttachmentUpdate update) throws Exception {
    AttachmentState stored = AttachmentState.of(cached());
    var desired =
        new AttachmentState(
            update.applyTo(stored.config(), stored.config()), update.applyTo(stored.attachment()));
    cni.state()
        .updates()
        .add(
            ResultCacheEntry.of(desired.config(), desired.attachment()),
            ResultCacheEntry.of(stored.config(), stored.attachment()).with(cached().resultJson()));
  }

  @Test
  void theNextUpdateCompletesAnInterruptedOne() throws Exception {
    interrupt(set("a", "5").withKey("settings", "b", StringNode.valueOf("6")));
    SettingsPlugin.SETTINGS.put("c1/a", "5");
    update(AttachmentUpdate.NONE.withCapabilityArg("c", StringNode.valueOf("8")));
    assertEquals("5", cachedSetting("a"));
    assertEquals("6", setting("b"));
    assertEquals("8", setting("c"));
  }

  @Test
  void anInterruptedUpdateThatCannotBeCompletedIsTakenBack() throws Exception {
    interrupt(set("a", "5").withKey("settings", "b", StringNode.valueOf("bad")));
    SettingsPlugin.SETTINGS.put("c1/a", "5");
    network().repair(ATTACHMENT.id());
    assertEquals("1", setting("a"));
    assertEquals("1", cachedSetting("a"));
  }

  /** The interrupted ADD may have done a part that a second one would stumble over. */
  @Test
  void addOfANewPluginIsRepeatedAfterItsDel() throws Exception {
    interrupt(AttachmentUpdate.NONE.withPlugin(Json.object().put("type", "first")));
    network().repair(ATTACHMENT.id());
    List<String> calls = FakePlugin.CALLS.stream().filter(it -> it.contains(" first")).toList();
    assertTrue(calls.get(0).startsWith("DEL first"), calls::toString);
    assertTrue(calls.get(1).startsWith("ADD first"), calls::toString);
  }

  /** Makes an update whose completions fail, which leaves what a process that dies then leaves. */
  private void updateWithoutCompletions(AttachmentUpdate update) throws Exception {
    SettingsPlugin.onNote =
        () -> {
          throw new IOException("no space");
        };
    String warning = update(update).warnings().getFirst();
    assertTrue(warning.startsWith("note a failed: ") && warning.endsWith("no space"), warning);
    SettingsPlugin.onNote = Differences.Action.NONE;
  }

  @Test
  void theNextRepairRunsTheCompletionsOfAnInterruptedUpdate() throws Exception {
    updateWithoutCompletions(set("a", "5"));
    assertEquals("5", cachedSetting("a"));
    var interruption =
        new UpdateReport.Step("settings", "an update was interrupted", Optional.of("end it"));
    assertEquals(List.of(interruption), network().planRepair(ATTACHMENT.id()).steps());
    assertEquals("missing", setting("a/noted"));
    assertEquals(List.of(interruption), network().repair(ATTACHMENT.id()).steps());
    assertEquals("5", setting("a/noted"));
    assertEquals(List.of(), network().repair(ATTACHMENT.id()).steps());
  }

  @Test
  void theNextUpdateRunsTheCompletionsOfAnInterruptedOne() throws Exception {
    updateWithoutCompletions(set("a", "5").withPlugin(Json.object().put("type", "first")));
    FakePlugin.CALLS.clear();
    update(set("b", "6"));
    assertEquals("5", setting("a/noted"));
    assertEquals("6", setting("b/noted"));
    assertFalse(verbs().contains("ADD"), verbs()::toString); // "first" has been added before
  }

  @Test
  void theJournalHasTheInterruptedUpdateUntilItsCompletionsHaveRun() throws Exception {
    Path journal = files.getPath("/cache/updating/n-c1-eth0");
    List<String> contents = new CopyOnWriteArrayList<>();
    SettingsPlugin.onNote = () -> contents.add(Files.readString(journal));
    interrupt(set("a", "5"));
    contents.add(Files.readString(journal));
    network().repair(ATTACHMENT.id());
    interrupt(set("a", "6").withKey("settings", "b", StringNode.valueOf("bad")));
    contents.add(Files.readString(journal));
    network().repair(ATTACHMENT.id()); // takes it back
    assertEquals("5", setting("a"));
    assertEquals(5, contents.size()); // a is noted; a and b are noted
    assertEquals(contents.get(0), contents.get(1));
    assertEquals(contents.get(2), contents.get(3));
  }

  @Test
  void deleteRemovesWhatAnInterruptedUpdateMade() throws Exception {
    interrupt(AttachmentUpdate.NONE.withPlugin(Json.object().put("type", "first")));
    network().delete(ATTACHMENT);
    assertEquals("DEL first [eth0, second]", FakePlugin.CALLS.getFirst());
  }

  @Test
  void gcRemovesWhatAnInterruptedUpdateMadeAfterTheResultIsGone() throws Exception {
    interrupt(AttachmentUpdate.NONE.withPlugin(Json.object().put("type", "first")));
    Files.delete(files.getPath("/cache/results/n-c1-eth0"));
    network().gc(Set.of());
    assertEquals("DEL first", FakePlugin.CALLS.getFirst());
  }

  @Test
  void theJournalOfAnEarlierAttachmentIsIgnored() throws Exception {
    interrupt(set("a", "5"));
    Path journal = files.getPath("/cache/updating/n-c1-eth0");
    String content = Files.readString(journal);
    Files.writeString(journal, content.replace("/x", "/y"));
    network().repair(ATTACHMENT.id());
    assertEquals("1", setting("a"));
    Files.deleteIfExists(journal);
  }

  @Test
  void namesAnAttachmentThatDoesNotExist() {
    var unknown = Attachment.of("c2", Path.of("/run/netns/c2"), "eth0");
    CniException e = assertThrows(CniException.class, () -> network().repair(unknown.id()));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().startsWith("no attachment of container c2, interface eth0, to"));
  }
}
