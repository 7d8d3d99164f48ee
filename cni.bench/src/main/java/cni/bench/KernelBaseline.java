// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;

/**
 * The durations of bench/floor.c, which sends the fewest messages that the kernel requires. The
 * table calls this baseline the floor.
 *
 * @param add median of an ADD, in milliseconds
 * @param delete median of a DEL, in milliseconds
 */
record KernelBaseline(double add, double delete) {
  private static final int SAMPLES = 100;

  /** Runs the program. */
  static KernelBaseline measure(Path program) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(program.toString(), String.valueOf(SAMPLES))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String line = new String(process.getInputStream().readAllBytes(), UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(program + " failed with status " + process.exitValue());
    }
    String[] micros = line.strip().split(" ", -1);
    return new KernelBaseline(
        Double.parseDouble(micros[0]) / 1000, Double.parseDouble(micros[2]) / 1000);
  }

  /** Returns the mean of both. */
  KernelBaseline averageWith(KernelBaseline other) {
    return new KernelBaseline((add + other.add) / 2, (delete + other.delete) / 2);
  }
}
