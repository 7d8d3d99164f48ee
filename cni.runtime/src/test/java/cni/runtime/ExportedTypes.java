// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.NetworkPlugin;
import java.io.IOException;
import java.lang.reflect.Modifier;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The public types of a package, listed from the directory or jar that it was loaded from. */
final class ExportedTypes {
  private ExportedTypes() {}

  /** Returns the public types of the package of a class, in alphabetical order. */
  static List<Class<?>> besides(Class<?> member) throws Exception {
    Path root = Path.of(member.getProtectionDomain().getCodeSource().getLocation().toURI());
    if (Files.isDirectory(root)) {
      return list(root, member);
    }
    try (FileSystem jar = open(root)) {
      return list(jar.getPath("/"), member);
    }
  }

  private static FileSystem open(Path jar) throws IOException, URISyntaxException {
    return FileSystems.newFileSystem(new URI("jar:" + jar.toUri()), Map.of());
  }

  private static List<Class<?>> list(Path root, Class<?> member) throws Exception {
    String packageName = member.getPackageName();
    List<String> names;
    try (Stream<Path> files = Files.list(root.resolve(packageName.replace('.', '/')))) {
      names =
          files
              .map(it -> it.getFileName().toString())
              .filter(it -> it.endsWith(".class") && !it.equals("package-info.class"))
              .map(it -> packageName + "." + it.substring(0, it.length() - ".class".length()))
              .sorted()
              .toList();
    }
    List<Class<?>> types = new ArrayList<>();
    for (String name : names) {
      Class<?> type = Class.forName(name, false, member.getClassLoader());
      if (isPublic(type) && !isTestPlugin(type)) {
        types.add(type);
      }
    }
    return types;
  }

  private static boolean isPublic(Class<?> type) {
    Class<?> outer = type.getEnclosingClass();
    return Modifier.isPublic(type.getModifiers())
        && !type.isAnonymousClass()
        && (outer == null || isPublic(outer));
  }

  /** Plugins of tests may be compiled to the same directory; the exported classes are none. */
  private static boolean isTestPlugin(Class<?> type) {
    return NetworkPlugin.class.isAssignableFrom(type) && !type.isInterface();
  }
}
