package cni.bench;

import java.io.IOException;
import java.nio.file.Path;

/** The figures of bench/floor.c: the fewest messages that the kernel needs. */
record Floor(double add, double delete) {
  private static final int CONTAINERS = 100;

  /** Runs it: medians in milliseconds. */
  static Floor measure(Path program) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(program.toString(), String.valueOf(CONTAINERS))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String line =
        new String(
            process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(program + " failed with status " + process.exitValue());
    }
    String[] micros = line.strip().split(" ", -1);
    return new Floor(Double.parseDouble(micros[0]) / 1000, Double.parseDouble(micros[2]) / 1000);
  }

  /** The mean of both. */
  Floor and(Floor other) {
    return new Floor((add + other.add) / 2, (delete + other.delete) / 2);
  }
}
