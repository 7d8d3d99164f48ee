// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * The beginning of an executable, by which the kernel decides how to start it: an ELF header
 * (elf(5)) or the interpreter line of a script (execve(2)).
 */
record ExecutableFile(ByteBuffer head) {
  /** The kernel reads as many bytes (BINPRM_BUF_SIZE). */
  private static final int HEAD_BYTES = 256;

  private static final int ELF_MAGIC = 0x7f454c46;

  /** The offset of EI_DATA in the header: 2 for the most significant byte first. */
  private static final int BYTE_ORDER = 5;

  /** The offset of e_machine in the header. */
  private static final int MACHINE = 18;

  /** Machines of linux/elf-em.h by the names of the JDK ({@code os.arch}). */
  private static final Map<String, Integer> MACHINES =
      Map.of("amd64", 62, "aarch64", 183, "riscv64", 243, "s390x", 22, "ppc64le", 21);

  static ExecutableFile read(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return new ExecutableFile(ByteBuffer.wrap(in.readNBytes(HEAD_BYTES)));
    }
  }

  /** Returns the name of this machine's architecture. */
  static String ownArchitecture() {
    return System.getProperty("os.arch", "");
  }

  /** Returns a description of the architecture that an ELF file is built for, if it is another. */
  Optional<String> foreignArchitecture() {
    Integer own = MACHINES.get(ownArchitecture());
    if (head.limit() < MACHINE + 2 || head.getInt(0) != ELF_MAGIC || own == null) {
      return Optional.empty();
    }
    head.order(head.get(BYTE_ORDER) == 2 ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    int machine = Short.toUnsignedInt(head.getShort(MACHINE));
    head.order(ByteOrder.BIG_ENDIAN);
    return machine == own
        ? Optional.empty()
        : Optional.of(
            "ELF for %s, this machine is %s".formatted(nameOf(machine), ownArchitecture()));
  }

  private static String nameOf(int machine) {
    return MACHINES.entrySet().stream()
        .filter(it -> it.getValue() == machine)
        .map(Map.Entry::getKey)
        .findFirst()
        .orElse("machine " + machine);
  }

  /** Returns a description of a script's interpreter, if that cannot be executed. */
  Optional<String> missingInterpreter() {
    String text = StandardCharsets.ISO_8859_1.decode(head.duplicate()).toString();
    if (!text.startsWith("#!")) {
      return Optional.empty();
    }
    String line = text.substring(2).split("\n", 2)[0];
    String interpreter = line.strip().split("[ \t]", 2)[0];
    if (!interpreter.isEmpty()
        && !line.endsWith("\r")
        && Files.isExecutable(Path.of(interpreter))) {
      return Optional.empty();
    }
    return Optional.of(
        line.endsWith("\r")
            ? "the line #!" + line.strip() + " ends with a carriage return"
            : "the interpreter " + interpreter + " does not exist");
  }
}
