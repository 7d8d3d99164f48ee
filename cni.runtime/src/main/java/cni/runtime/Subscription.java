package cni.runtime;

/** Somebody who listens to events, until it is closed. */
public interface Subscription extends AutoCloseable {
  /** Ends it. An event that is being told may still be. */
  @Override
  void close();
}
