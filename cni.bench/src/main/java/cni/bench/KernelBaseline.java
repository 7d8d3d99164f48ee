package cni.bench;

import java.io.IOException;
import java.nio.file.Path;

/** The figures of bench/floor.c: the fewest messages that the kernel needs. */
record KernelBaseline(double add, double delete) {
  private static final int SAMPLES = 100;

  /** Runs it: medians in milliseconds. */
  static KernelBaseline measure(Path program) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(program.toString(), String.valueOf(SAMPLES))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String line =
        new String(
            process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(program + " failed with status " + process.exitValue());
    }
    String[] micros = line.strip().split(" ", -1);
    return new KernelBaseline(
        Double.parseDouble(micros[0]) / 1000, Double.parseDouble(micros[2]) / 1000);
  }

  /** The mean of both. */
  KernelBaseline averageWith(KernelBaseline other) {
    return new KernelBaseline((add + other.add) / 2, (delete + other.delete) / 2);
  }
}
