package cni.netlink.ffm.netfilter;

import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * What a rule does: expressions that the kernel evaluates one after the other until one does not
 * match or gives a verdict.
 *
 * @param expressions the expressions
 * @param userdata what is written on it
 */
public record Rule(List<Expression> expressions, Userdata userdata) {
  /** Takes a copy of the list. */
  public Rule {
    expressions = List.copyOf(expressions);
  }

  /** The same with a comment. */
  public Rule commented(String comment) {
    return new Rule(expressions, new Userdata(Optional.of(comment), userdata.owner()));
  }

  /** The same with an owner. */
  public Rule ownedBy(String owner) {
    return new Rule(expressions, userdata.ownedBy(owner));
  }

  /**
   * Whether both do the same, whatever is written on them. Of sets only that they are there is
   * compared.
   */
  public boolean doesSameAs(Rule other) {
    return withoutSets(expressions).equals(withoutSets(other.expressions));
  }

  private static List<Expression> withoutSets(List<Expression> expressions) {
    return expressions.stream().map(Rule::withoutSet).toList();
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
  public boolean leadsTo(String chain) {
    return verdict().filter(verdict -> verdict.chain().equals(chain)).isPresent();
  }

  /** What the first expression of a type says. */
  public <E extends Expression, T> Optional<T> find(Class<E> type, Function<E, T> reader) {
    return expressions.stream().filter(type::isInstance).map(type::cast).findFirst().map(reader);
  }
}
