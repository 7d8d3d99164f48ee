// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkRequest;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.zip.CRC32;
import org.jspecify.annotations.Nullable;

/**
 * The content of a rule: expressions that the kernel evaluates in order until one ends the rule,
 * and user data that it ignores.
 *
 * <p>The expressions of a listed rule are read on first use: a busy host has as many rules as
 * containers, most of which are passed over by their user data or by {@link #mightMatch}.
 */
public final class Rule {
  private static final int ATTRIBUTE_ALIGNMENT = 4;

  private final Attributes listed;
  private final Userdata userdata;
  private @Nullable List<Expression> expressions;
  private @Nullable List<Bytes> values;

  /** Creates a rule to be added. */
  public Rule(List<Expression> expressions, Userdata userdata) {
    this(Attributes.NONE, userdata, List.copyOf(expressions));
  }

  private Rule(Attributes listed, Userdata userdata, @Nullable List<Expression> expressions) {
    this.listed = listed;
    this.userdata = userdata;
    this.expressions = expressions;
  }

  /** Creates a rule from the attributes of a message of the kernel. */
  static Rule read(Attributes listed) {
    byte[] userdata = listed.bytes(NftablesConstants.NFTA_RULE_USERDATA).orElse(new byte[0]);
    return new Rule(listed, Userdata.read(userdata), null);
  }

  /**
   * Returns the expressions. If those of a listed rule are malformed, returns a single {@link
   * Expression.Unparsed}.
   */
  public List<Expression> expressions() {
    List<Expression> known = expressions;
    if (known == null) {
      try {
        known = List.copyOf(ExpressionReader.readAll(listed));
      } catch (MalformedMessageException e) {
        known = List.of(new Expression.Unparsed("unreadable"));
      }
      expressions = known;
    }
    return known;
  }

  /** Returns the comment and the owner of the rule. */
  public Userdata userdata() {
    return userdata;
  }

  /** Returns this rule with a comment. */
  public Rule withComment(String comment) {
    return new Rule(listed, new Userdata(Optional.of(comment), userdata.owner()), expressions);
  }

  /** Returns this rule with an owner. */
  public Rule withOwner(String owner) {
    return new Rule(listed, userdata.withOwner(owner), expressions);
  }

  /**
   * Returns whether both rules have the same expressions, whatever their user data. Of an anonymous
   * set only the presence is compared, since listing a rule does not list its elements.
   */
  public boolean isEquivalentTo(Rule other) {
    return mightBeEquivalentTo(other)
        && other.mightBeEquivalentTo(this)
        && areEqual(withoutSets(expressions()), withoutSets(other.expressions()));
  }

  /**
   * Returns a hash code that {@linkplain #isEquivalentTo equivalent} rules share; empty if the rule
   * has an expression that is equal to no other.
   */
  OptionalInt equivalenceHash() {
    List<Expression> comparable = withoutSets(expressions());
    if (comparable.stream().anyMatch(Expression.Unparsed.class::isInstance)) {
      return OptionalInt.empty();
    }
    var crc = new CRC32(); // Arrays.hashCode has one value for every eight ports
    crc.update(encode(comparable));
    return OptionalInt.of((int) crc.getValue());
  }

  /** Returns false if the other rule has a value that this one does not contain. */
  private boolean mightBeEquivalentTo(Rule other) {
    if (expressions != null || other.expressions == null) {
      return true;
    }
    List<ByteBuffer> lists = listed.all(NftablesConstants.NFTA_RULE_EXPRESSIONS);
    for (Bytes value : other.values()) {
      if (!occursInAny(lists, value, ATTRIBUTE_ALIGNMENT)) {
        return false;
      }
    }
    return true;
  }

  /**
   * Returns the values by which a rule differs from others of the same chain, the longest first:
   * what it compares packets with, the structures of its matches and targets of iptables, and the
   * chain that it jumps to.
   */
  private List<Bytes> values() {
    List<Bytes> known = values;
    if (known == null) {
      known = new ArrayList<>();
      for (Expression expression : expressions()) {
        value(expression).ifPresent(known::add);
      }
      // The lambdas of Comparator's methods are serializable, which the AOT cache does not hold.
      known.sort((one, other) -> Integer.compare(other.length(), one.length()));
      values = known;
    }
    return known;
  }

  /** Without a pattern switch, which costs the start of a process half a millisecond. */
  private static Optional<Bytes> value(Expression expression) {
    if (expression instanceof Expression.Compare compare) {
      return Optional.of(compare.data());
    }
    if (expression instanceof Expression.XtMatch match) {
      return Optional.of(match.info());
    }
    if (expression instanceof Expression.XtTarget target) {
      return Optional.of(target.info());
    }
    return expression instanceof Expression.Verdict verdict
        ? Optional.of(Bytes.of(verdict.chain().getBytes(StandardCharsets.UTF_8)))
        : Optional.empty();
  }

  /**
   * Returns false if no expression of this rule can contain a value. If the expressions have not
   * been read, searches their bytes, which takes a fraction of the time of reading them.
   *
   * @param value the value as encoded in a message
   */
  boolean mightMatch(Bytes value) {
    return mightMatch(value, ATTRIBUTE_ALIGNMENT);
  }

  /** As {@link #mightMatch(Bytes)}, for a value in a structure of a match of iptables. */
  boolean mightMatch(Bytes value, int alignment) {
    return expressions != null
        || occursInAny(listed.all(NftablesConstants.NFTA_RULE_EXPRESSIONS), value, alignment);
  }

  private static boolean occursInAny(List<ByteBuffer> lists, Bytes value, int alignment) {
    for (ByteBuffer list : lists) {
      if (value.occursIn(list, alignment)) {
        return true;
      }
    }
    return false;
  }

  /**
   * Compares what the expressions send to the kernel, rather than the records: their generated
   * {@code equals} costs a process about 1 ms for each kind of expression, see {@link Table}. It
   * also ignores values that are not sent, such as the ICMP code of a TCP reset.
   */
  private static boolean areEqual(List<Expression> mine, List<Expression> others) {
    if (mine.size() != others.size()) {
      return false;
    }
    for (int i = 0; i < mine.size(); i++) {
      if (!mightBeEqual(mine.get(i), others.get(i))) {
        return false;
      }
    }
    return Arrays.equals(encode(mine), encode(others));
  }

  /** Compares what is not encoded: the kinds of the expressions and the elements of sets. */
  private static boolean mightBeEqual(Expression mine, Expression other) {
    return mine instanceof Expression.Lookup
        ? mine.equals(other)
        : mine.getClass() == other.getClass() && !(mine instanceof Expression.Unparsed);
  }

  private static byte[] encode(List<Expression> expressions) {
    var request = new NetlinkRequest("", 0, 0);
    for (Expression expression : expressions) {
      request.nest(NftablesConstants.NFTA_LIST_ELEM, expression::write);
    }
    return request.payload();
  }

  private static List<Expression> withoutSets(List<Expression> expressions) {
    boolean any = expressions.stream().anyMatch(Expression.Lookup.class::isInstance);
    return any ? expressions.stream().map(Rule::withoutSet).toList() : expressions;
  }

  private static Expression withoutSet(Expression expression) {
    return expression instanceof Expression.Lookup lookup && lookup.isAnonymous()
        ? new Expression.Lookup("", Optional.empty(), lookup.register(), lookup.inverted())
        : expression;
  }

  /** Returns whether the rule has a comment that starts with a prefix. */
  public boolean commentStartsWith(String prefix) {
    return userdata.comment().filter(comment -> comment.startsWith(prefix)).isPresent();
  }

  /** Returns the verdict; empty if the rule has none. */
  public Optional<Expression.Verdict> verdict() {
    return find(Expression.Verdict.class, verdict -> verdict);
  }

  /** Returns whether the rule jumps or goes to a chain of its table. */
  public boolean jumpsTo(String chain) {
    return mightMatch(Bytes.of(chain.getBytes(StandardCharsets.UTF_8)))
        && verdict().filter(verdict -> verdict.chain().equals(chain)).isPresent();
  }

  /**
   * Returns a property of the first expression of a type; empty if there is none.
   *
   * @param reader extracts the property
   */
  public <E extends Expression, T> Optional<T> find(Class<E> type, Function<E, T> reader) {
    return expressions().stream().filter(type::isInstance).map(type::cast).findFirst().map(reader);
  }

  /** Returns whether the other object is a rule with the same expressions, sets and user data. */
  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Rule rule
        && userdata.equals(rule.userdata)
        && areEqual(expressions(), rule.expressions());
  }

  @Override
  public int hashCode() {
    // Equal rules have expressions of the same kinds, but not the same unsent values.
    return 31 * userdata.hashCode()
        + expressions().stream().map(Expression::kind).toList().hashCode();
  }

  @Override
  public String toString() {
    return expressions() + " " + userdata;
  }
}
