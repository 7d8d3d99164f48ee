package cni.runtime;

/** A registered event listener; see {@link Cni#onEvent}. */
public interface Subscription extends AutoCloseable {
  /** Removes the listener. A call of it that is under way is interrupted, not waited for. */
  @Override
  void close();
}
