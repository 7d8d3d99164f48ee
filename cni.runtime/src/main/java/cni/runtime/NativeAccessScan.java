// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.constantpool.MemberRefEntry;
import java.lang.classfile.constantpool.PoolEntry;
import java.lang.module.ModuleReader;
import java.lang.module.ModuleReference;
import java.lang.reflect.AccessFlag;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Finds native access in the class files of a module before the module is used. The virtual machine
 * refuses it only at the call, and by default merely warns. Calls by reflection are not found; they
 * are left to the virtual machine.
 */
final class NativeAccessScan {
  /** The restricted methods of Java 25, as in "Restricted methods" of its API documentation. */
  private static final Set<String> RESTRICTED =
      Set.of(
          "java/lang/System.load",
          "java/lang/System.loadLibrary",
          "java/lang/Runtime.load",
          "java/lang/Runtime.loadLibrary",
          "java/lang/ModuleLayer$Controller.enableNativeAccess",
          "java/lang/foreign/AddressLayout.withTargetLayout",
          "java/lang/foreign/Linker.downcallHandle",
          "java/lang/foreign/Linker.upcallStub",
          "java/lang/foreign/MemorySegment.reinterpret",
          "java/lang/foreign/SymbolLookup.libraryLookup");

  private NativeAccessScan() {}

  /**
   * Describes the first native access of a module, such as "a.B calls java.lang.System.load".
   *
   * @return absent if there is none
   * @throws IOException if the module cannot be read
   */
  static Optional<String> firstUse(ModuleReference module) throws IOException {
    try (ModuleReader reader = module.open();
        Stream<String> names = reader.list()) {
      for (String name : (Iterable<String>) names::iterator) {
        if (name.endsWith(".class")) {
          byte[] bytes = reader.open(name).orElseThrow(() -> new IOException(name)).readAllBytes();
          Optional<String> use = firstUse(bytes);
          if (use.isPresent()) {
            return use;
          }
        }
      }
    }
    return Optional.empty();
  }

  private static Optional<String> firstUse(byte[] classFile) throws IOException {
    try {
      ClassModel model = ClassFile.of().parse(classFile);
      String name = model.thisClass().asInternalName().replace('/', '.');
      for (PoolEntry entry : model.constantPool()) {
        if (entry instanceof MemberRefEntry member) {
          String called = member.owner().asInternalName() + "." + member.name().stringValue();
          if (RESTRICTED.contains(called)) {
            return Optional.of(name + " calls " + called.replace('/', '.'));
          }
        }
      }
      return model.methods().stream()
          .filter(method -> method.flags().has(AccessFlag.NATIVE))
          .findFirst()
          .map(method -> name + " has the native method " + method.methodName().stringValue());
    } catch (IllegalArgumentException e) { // not a class file: reported when it is loaded
      return Optional.empty();
    }
  }
}
