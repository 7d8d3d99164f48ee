package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkRequest;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What a rule does: expressions that the kernel evaluates one after the other until one does not
 * match or gives a verdict. Those of a rule that was listed are read when they are asked for: most
 * rules of a busy host are passed over for what is written on them.
 */
public final class Rule {
  private final Attributes listed;
  private final Userdata userdata;
  private @Nullable List<Expression> expressions;

  /**
   * A rule to be added.
   *
   * @param userdata what is written on it
   */
  public Rule(List<Expression> expressions, Userdata userdata) {
    this(Attributes.NONE, userdata, List.copyOf(expressions));
  }

  private Rule(Attributes listed, Userdata userdata, @Nullable List<Expression> expressions) {
    this.listed = listed;
    this.userdata = userdata;
    this.expressions = expressions;
  }

  /** A rule of the kernel's, by the attributes of its message. */
  static Rule read(Attributes listed) {
    byte[] userdata = listed.bytes(NftablesConstants.NFTA_RULE_USERDATA).orElse(new byte[0]);
    return new Rule(listed, Userdata.read(userdata), null);
  }

  /** The expressions; of a rule that the kernel tells in a form without sense, one of no kind. */
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

  /** What is written on it. */
  public Userdata userdata() {
    return userdata;
  }

  /** The same with a comment. */
  public Rule withComment(String comment) {
    return new Rule(listed, new Userdata(Optional.of(comment), userdata.owner()), expressions);
  }

  /** The same with an owner. */
  public Rule withOwner(String owner) {
    return new Rule(listed, userdata.withOwner(owner), expressions);
  }

  /**
   * Whether both do the same, whatever is written on them. Of sets only that they are there is
   * compared.
   */
  public boolean isEquivalentTo(Rule other) {
    return mightBeEquivalentTo(other)
        && other.mightBeEquivalentTo(this)
        && same(withoutSets(expressions()), withoutSets(other.expressions()));
  }

  /** False where a glance shows that the other compares packets with something that is not here. */
  private boolean mightBeEquivalentTo(Rule other) {
    List<Expression> known = other.expressions;
    if (expressions != null || known == null) {
      return true;
    }
    for (Expression expression : known) {
      if (expression instanceof Expression.Compare compare && !mightMatch(compare.data())) {
        return false;
      }
    }
    return true;
  }

  /**
   * False if no expression of the rule can have the value. Of a rule that was listed only the bytes
   * are looked through: it takes a fraction of what reading the expressions does, and there are as
   * many rules as containers.
   *
   * @param value as it stands in a message
   */
  boolean mightMatch(Bytes value) {
    if (expressions != null) {
      return true;
    }
    return listed.all(NftablesConstants.NFTA_RULE_EXPRESSIONS).stream().anyMatch(value::occursIn);
  }

  /**
   * Whether both are equal. What they write is compared, as their own equals is spun when first
   * used, for each kind, which takes a process some milliseconds.
   */
  private static boolean same(List<Expression> mine, List<Expression> others) {
    boolean same = mine.size() == others.size();
    for (int i = 0; same && i < mine.size(); i++) {
      same = alike(mine.get(i), others.get(i));
    }
    return same && Arrays.equals(written(mine), written(others));
  }

  /** False if they cannot be equal; a set is not written. */
  private static boolean alike(Expression mine, Expression other) {
    return mine instanceof Expression.Lookup
        ? mine.equals(other)
        : mine.getClass() == other.getClass() && !(mine instanceof Expression.Unparsed);
  }

  private static byte[] written(List<Expression> expressions) {
    var message = new NetlinkRequest("", 0, 0);
    expressions.forEach(it -> message.nest(NftablesConstants.NFTA_LIST_ELEM, it::write));
    return message.payload();
  }

  private static List<Expression> withoutSets(List<Expression> expressions) {
    boolean any = expressions.stream().anyMatch(Expression.Lookup.class::isInstance);
    return any ? expressions.stream().map(Rule::withoutSet).toList() : expressions;
  }

  private static Expression withoutSet(Expression expression) {
    return expression instanceof Expression.Lookup lookup
        ? new Expression.Lookup("", Optional.empty(), lookup.register(), lookup.inverted())
        : expression;
  }

  /** Whether the comment begins so. */
  public boolean commentStartsWith(String prefix) {
    return userdata.comment().filter(comment -> comment.startsWith(prefix)).isPresent();
  }

  /** The verdict, if there is one. */
  public Optional<Expression.Verdict> verdict() {
    return find(Expression.Verdict.class, it -> it);
  }

  /** Whether it goes to that chain of its table. */
  public boolean jumpsTo(String chain) {
    return verdict().filter(verdict -> verdict.chain().equals(chain)).isPresent();
  }

  /** What the first expression of a type says. */
  public <E extends Expression, T> Optional<T> find(Class<E> type, Function<E, T> reader) {
    return expressions().stream().filter(type::isInstance).map(type::cast).findFirst().map(reader);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Rule rule
        && userdata.equals(rule.userdata)
        && same(expressions(), rule.expressions());
  }

  @Override
  public int hashCode() {
    // Equal rules have expressions of the same kinds; what one does not write does not count.
    return 31 * userdata.hashCode()
        + expressions().stream().map(Expression::kind).toList().hashCode();
  }

  @Override
  public String toString() {
    return expressions() + " " + userdata;
  }
}
