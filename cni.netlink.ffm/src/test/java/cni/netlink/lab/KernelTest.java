package cni.netlink.lab;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test that works on the real kernel, in namespaces of its own. It needs root and the commands
 * {@code ip} and {@code ping}; without them it is skipped, in CI it fails.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(Prerequisites.class)
public @interface KernelTest {
  /** Further commands that it needs. */
  String[] commands() default {};

  /** Whether it needs the reference plugins, see {@link ReferencePlugins}. */
  boolean reference() default false;
}
