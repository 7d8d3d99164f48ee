// SPDX-License-Identifier: Apache-2.0
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassBuilder;
import java.lang.classfile.ClassElement;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassFile.ClassHierarchyResolverOption;
import java.lang.classfile.ClassFile.StackMapsOption;
import java.lang.classfile.ClassFileVersion;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassModel;
import java.lang.classfile.MethodModel;
import java.lang.classfile.MethodTransform;
import java.lang.constant.ClassDesc;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Converts the build's modules for the image: class files older than Java 6 (picocli's) become
 * class files of the current version. The JVM cannot store older ones in its AOT cache, and would
 * parse and verify them at each start. Also lists what the image leaves out of the JDK's modules.
 *
 * <p>usage: java ImageModules.java DIRECTORY EXCLUDED MODULE_PATH
 */
final class ImageModules {
  private final ZipFile module;
  private final ClassFile format;

  private ImageModules(ZipFile module) {
    this.module = module;
    // Generating stack maps needs the class hierarchy to merge types.
    ClassHierarchyResolver hierarchy =
        ClassHierarchyResolver.ofResourceParsing(this::content)
            .orElse(ClassHierarchyResolver.defaultResolver());
    this.format =
        ClassFile.of(
            ClassHierarchyResolverOption.of(hierarchy), StackMapsOption.GENERATE_STACK_MAPS);
  }

  public static void main(String[] arguments) throws IOException {
    Path directory = Files.createDirectories(Path.of(arguments[0]));
    Files.write(Path.of(arguments[1]), unusedXml());
    for (String element : arguments[2].split(":", -1)) {
      Path file = Path.of(element);
      if (Files.isRegularFile(file)) {
        try (var module = new ZipFile(file.toFile())) {
          new ImageModules(module).copy(directory.resolve(file.getFileName()));
        }
      }
    }
  }

  /**
   * Lists the resources of java.xml but for its types, which jackson-databind requires: parsers and
   * transformers, of which the image uses none. Of each package one class stays, because jlink
   * refuses a module that lacks packages of its descriptor.
   */
  private static List<String> unusedXml() throws IOException {
    Path module = Path.of(URI.create("jrt:/java.xml"));
    Map<Path, List<Path>> packages;
    try (Stream<Path> files = Files.walk(module)) {
      packages =
          files
              .filter(it -> module.relativize(it).toString().matches("(com|jdk)/.*"))
              .filter(Files::isRegularFile)
              .collect(Collectors.groupingBy(Path::getParent, TreeMap::new, Collectors.toList()));
    }
    List<String> unused = new ArrayList<>();
    for (List<Path> files : packages.values()) {
      files.sort(Comparator.comparing(ImageModules::size).thenComparing(Path::toString));
      files.stream().skip(1).map(it -> "/java.xml/" + module.relativize(it)).forEach(unused::add);
    }
    return unused;
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void copy(Path to) throws IOException {
    try (var copy = new ZipOutputStream(Files.newOutputStream(to))) {
      for (ZipEntry entry : module.stream().toList()) {
        byte[] bytes;
        try (InputStream content = module.getInputStream(entry)) {
          bytes = content.readAllBytes();
        }
        copy.putNextEntry(new ZipEntry(entry.getName()));
        copy.write(entry.getName().endsWith(".class") ? converted(bytes) : bytes);
        copy.closeEntry();
      }
    }
  }

  private InputStream content(ClassDesc type) {
    String descriptor = type.descriptorString(); // such as Lpicocli/CommandLine;
    ZipEntry entry = module.getEntry(descriptor.substring(1, descriptor.length() - 1) + ".class");
    try {
      return entry == null ? null : module.getInputStream(entry);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private byte[] converted(byte[] bytes) {
    ClassModel model = format.parse(bytes);
    return model.majorVersion() < ClassFile.JAVA_6_VERSION
        ? format.transformClass(model, ImageModules::modernize)
        : bytes;
  }

  /**
   * Sets the version and rewrites all code, which adds the stack maps that newer versions require.
   */
  private static void modernize(ClassBuilder builder, ClassElement element) {
    switch (element) {
      case ClassFileVersion _ -> builder.withVersion(ClassFile.latestMajorVersion(), 0);
      case MethodModel method ->
          builder.transformMethod(
              method,
              MethodTransform.transformingCode((code, instruction) -> code.with(instruction)));
      default -> builder.with(element);
    }
  }
}
