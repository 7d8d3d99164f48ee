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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Converts the build's modules for the image: class files older than Java 6 (picocli's) become
 * class files of the current version. The JVM cannot store older ones in its AOT cache, and would
 * parse and verify them at each start.
 *
 * <p>usage: java ImageModules.java DIRECTORY MODULE_PATH
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
    for (String element : arguments[1].split(":", -1)) {
      Path file = Path.of(element);
      if (Files.isRegularFile(file)) {
        try (var module = new ZipFile(file.toFile())) {
          new ImageModules(module).copy(directory.resolve(file.getFileName()));
        }
      }
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
