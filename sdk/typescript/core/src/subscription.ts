import { Backoff, pause } from "./backoff.js";
import { ClavigerError } from "./errors.js";
import { type SseMessage, SseParser } from "./sse.js";

/** An event as a subscription delivers it. */
export interface SubscribedEvent<Data = any> {
  readonly id: string;
  readonly name: string;
  readonly environment: string;
  /** The space it belongs to, if it belongs to one. */
  readonly space?: string;
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly revision: number;
  readonly data: Data;
  /** `system` for what Claviger itself emits. */
  readonly source: "event" | "system";
}

/** Events between two cursors are gone: too old (`retention`), or the store was restored (`incarnation`). */
export interface Gap {
  readonly reason: "retention" | "incarnation";
  readonly asked: unknown;
  readonly first: unknown;
}

/** What happens with what a subscription receives. */
export interface SubscribeOptions<Data = any> {
  /** Takes an event. The next one waits for it; if it throws, the event comes again. */
  readonly onEvent: (event: SubscribedEvent<Data>) => unknown;
  /** Learns that events are missing. */
  readonly onGap?: (gap: Gap) => unknown;
  /** Learns of each interruption, and of the error that ends the subscription. */
  readonly onError?: (error: Error) => void;
  /** The cursor to go on from; without it the subscription begins now. */
  readonly after?: string | undefined;
  /** Only events of these spaces; without it those of the environment and of all its spaces. */
  readonly spaces?: readonly string[];
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
}

/** Opens the stream, from a cursor if there is one. */
export type OpenStream = (cursor: string | undefined, signal: AbortSignal) => Promise<Response>;

/** The server sends something every 15 s; a longer silence means that the connection is dead. */
const SILENCE_MS = 45_000;

/** Answers that another attempt would get again. */
const FINAL_STATUSES: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 410, 422]);

/** A standing interest in events. */
export class Subscription {
  /** Resolves when the subscription stands for the first time; rejects if it never will. */
  readonly ready: Promise<void>;
  /** Resolves when the subscription has been closed; rejects with the error that ended it. */
  readonly closed: Promise<void>;
  readonly #open: OpenStream;
  readonly #options: SubscribeOptions;
  readonly #controller = new AbortController();
  readonly #backoff = new Backoff();
  #cursor: string | undefined;
  /** The last event was not taken, so a new connection alone is no progress. */
  #isStuck = false;
  #markReady: () => void = () => {};

  constructor(open: OpenStream, options: SubscribeOptions) {
    this.#open = open;
    this.#options = options;
    this.#cursor = options.after;
    const { promise, resolve } = readiness();
    this.#markReady = resolve;
    this.closed = this.#run();
    this.ready = Promise.race([promise, this.closed.then(() => this.#checkNotAborted())]);
    // Whoever wants to know awaits them; a failure has gone to onError as well.
    this.ready.catch(() => {});
    this.closed.catch(() => {});
  }

  /** The position after the last event that `onEvent` has taken; give it to `after` to go on from there. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** Ends the subscription. No callback is called any more, except one that runs already. */
  close(): void {
    this.#controller.abort(new DOMException("the subscription was closed", "AbortError"));
  }

  async #run(): Promise<void> {
    const outer = this.#options.signal;
    const onAbort = () => this.#controller.abort(outer?.reason);
    if (outer?.aborted) onAbort();
    outer?.addEventListener("abort", onAbort, { once: true });
    const { signal } = this.#controller;
    try {
      while (!signal.aborted) await this.#connect(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      outer?.removeEventListener("abort", onAbort);
      this.#controller.abort();
    }
  }

  /** Receives until the connection ends, and waits before the next one. Throws what is final. */
  async #connect(signal: AbortSignal): Promise<void> {
    // Ends this connection alone.
    const connection = new AbortController();
    const both = AbortSignal.any([signal, connection.signal]);
    try {
      const response = await inTime(this.#open(this.#cursor, both), connection);
      await this.#receive(response, connection);
    } catch (error) {
      if (signal.aborted) return;
      if (isFinal(error)) throw this.#report(error);
      this.#report(error instanceof TakeError ? error.cause : error);
    } finally {
      connection.abort();
    }
    await pause(this.#backoff.next(), signal);
  }

  async #receive(response: Response, connection: AbortController): Promise<void> {
    if (!response.headers.get("content-type")?.startsWith("text/event-stream") || !response.body) {
      throw new ClavigerError({ code: "unexpected_answer", status: response.status, detail: "the server did not answer with an event stream" });
    }
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const parser = new SseParser();
    for (;;) {
      const { done, value } = await inTime(reader.read(), connection);
      if (done) return;
      for (const message of parser.push(decoder.decode(value, { stream: true }))) {
        if (this.#controller.signal.aborted) return;
        await this.#take(message);
      }
    }
  }

  async #take({ event, data, id }: SseMessage): Promise<void> {
    if (event === "ready") {
      // On a resumed stream the events between our cursor and now are still to come, so that cursor stays.
      this.#cursor ??= id;
      if (!this.#isStuck) this.#backoff.reset();
      this.#markReady();
      return;
    }
    try {
      if (event === "event") await this.#options.onEvent(JSON.parse(data));
      else if (event === "gap") await this.#options.onGap?.(JSON.parse(data));
    } catch (cause) {
      this.#isStuck = true;
      throw new TakeError("a callback failed", { cause });
    }
    this.#isStuck = false;
    if (id !== undefined) this.#cursor = id;
  }

  #report(thrown: unknown): Error {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const { onError } = this.#options;
    if (onError) onError(error);
    else console.warn(`subscription interrupted: ${error.name}: ${error.message}`);
    return error;
  }

  #checkNotAborted(): void {
    if (this.#controller.signal.aborted) throw this.#options.signal?.reason ?? this.#controller.signal.reason;
  }
}

function readiness(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((onResolve) => (resolve = onResolve));
  return { promise, resolve };
}

/** A callback threw; its event comes again. */
class TakeError extends Error {}

function isFinal(error: unknown): boolean {
  return error instanceof ClavigerError && FINAL_STATUSES.has(error.status);
}

/** Waits for the server, and gives the connection up after too long a silence. */
async function inTime<T>(answer: Promise<T>, connection: AbortController): Promise<T> {
  const silence = new ClavigerError({ code: "server_unreachable", status: 0, detail: `the server was silent for ${SILENCE_MS} ms` });
  const timer = setTimeout(() => connection.abort(silence), SILENCE_MS);
  try {
    return await answer;
  } finally {
    clearTimeout(timer);
  }
}
