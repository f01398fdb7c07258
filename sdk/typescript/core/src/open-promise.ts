/**
 * The promise of an open step. It notices when somebody begins to wait for it, because a run is suspended only once the
 * function really awaits what is open.
 */
export class OpenPromise<T> extends Promise<T> {
  /** What `then` returns is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  #onAwait: (() => void) | undefined;

  /** Calls `callback` when the promise is awaited for the first time. */
  whenAwaited(callback: () => void): this {
    this.#onAwait = callback;
    return this;
  }

  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const callback = this.#onAwait;
    this.#onAwait = undefined;
    callback?.();
    return super.then(onFulfilled, onRejected);
  }
}

/** A promise with its ends, which nobody has to handle. */
export interface Deferred {
  readonly promise: OpenPromise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A promise that is settled from outside. A rejection that no code awaits must not end the worker's process. */
export function defer(): Deferred {
  let resolve!: (value: unknown) => void;
  let reject!: (error: unknown) => void;
  const promise = new OpenPromise<unknown>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}
