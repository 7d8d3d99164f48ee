// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import java.io.IOException;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * What the kernel lists for each address family, such as routes or policy rules. A family is listed
 * once, when it is first needed. Not safe for use by several threads at once.
 *
 * @param <T> what is listed
 */
public final class FamilyListing<T> {
  private final Lister<T> lister;
  private final Map<IpFamily, List<T>> listed = new EnumMap<>(IpFamily.class);

  /** Lists what a family has. */
  @FunctionalInterface
  public interface Lister<T> {
    /**
     * Lists a family.
     *
     * @throws IOException if the kernel refuses, or the socket fails
     */
    List<T> list(IpFamily family) throws IOException;
  }

  /** Creates a listing for which nothing has been listed yet. */
  public FamilyListing(Lister<T> lister) {
    this.lister = lister;
  }

  /**
   * Returns what a family had when it was first asked for.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<T> of(IpFamily family) throws IOException {
    List<T> known = listed.get(family);
    if (known == null) {
      known = lister.list(family);
      listed.put(family, known);
    }
    return known;
  }
}
