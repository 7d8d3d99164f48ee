// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A JUnit test that works on the real kernel, in separate network namespaces. It needs root and the
 * commands {@code ip} and {@code ping}. Where a prerequisite is missing the test is skipped and
 * says why; with the environment variable {@code CI} set it fails instead. Its tag is {@code
 * kernel}.
 *
 * <p>Constructors and methods may take a {@link TestBed} or a subclass of it with a public
 * constructor without parameters; it is created for the test and closed after it:
 *
 * <pre>{@code
 * @KernelTest
 * class VethTest {
 *   @Test
 *   void pingCrossesAVeth(TestBed bed) throws Exception {
 *     NetNs other = bed.namespace("other");
 *     TestBed.connect(bed.netns(), "veth0", other, "veth1");
 *     TestBed.addAddress(bed.netns(), "veth0", "192.0.2.1", 24);
 *     TestBed.addAddress(other, "veth1", "192.0.2.2", 24);
 *     assertTrue(Probe.ping(bed.netns(), "192.0.2.2"));
 *   }
 * }
 * }</pre>
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(KernelTestExtension.class)
@Tag("kernel")
public @interface KernelTest {
  /** Returns the further commands that the test needs. */
  String[] commands() default {};

  /** Returns whether the test needs the reference plugins, see {@link ReferencePlugins}. */
  boolean reference() default false;
}
