import { hostname } from "node:os";
import {
  Backoff,
  ClavigerError,
  type ClavigerFunction,
  type Executable,
  type Listener,
  LogRedactor,
  parseApiKey,
  parseBaseUrl,
  pause,
  type RegisteredFrame,
} from "@claviger/core";
import { fromEnvironment } from "./environment.js";
import { type Logger, redacting, stderrLogger } from "./logger.js";
import { Session } from "./session.js";
import { handleSignals } from "./signals.js";
import { VERSION } from "./version.js";
import { connectWebSocket } from "./websocket/connect.js";

/** What a worker executes, and where. It needs a function or a listener. */
export interface WorkerOptions {
  readonly functions?: readonly ClavigerFunction[];
  /** Their handlers are registered before; from here on they are in use. */
  readonly listeners?: readonly Listener[];
  /** The server; `CLAVIGER_URL`, or `http://127.0.0.1:8080`. */
  readonly url?: string;
  /** A key with the role `runtime`; `CLAVIGER_API_KEY`. */
  readonly apiKey?: string;
  /** `CLAVIGER_ENV`; without it the key's own, or `default` for a key of all environments. */
  readonly environment?: string;
  /** How many jobs are held at once, 1–1,024; 16 by default. */
  readonly concurrency?: number;
  /** A label for people; host name and process id by default. */
  readonly name?: string;
  /** Takes the worker's log lines; stderr by default. */
  readonly logger?: Logger;
  /** Whether SIGTERM and SIGINT drain the worker, and a second one ends the process; true by default. */
  readonly handleSignals?: boolean;
}

/** Incoming messages are bounded by the protocol. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Answers to the handshake after which connecting again cannot help. */
const FINAL_STATUSES: ReadonlySet<number> = new Set([400, 401, 403]);

/**
 * Connects to a server and executes its jobs, until it is stopped. When the connection is lost it connects again, with
 * exponential backoff from 100 ms to 10 s and full jitter.
 */
export class Worker {
  /** Resolves when the worker has stopped; rejects with a `ClavigerError` if the server refuses it for good. */
  readonly stopped: Promise<void>;
  readonly #options: WorkerOptions;
  readonly #functions: ReadonlyMap<string, Executable>;
  readonly #redactor = new LogRedactor();
  readonly #logger: Required<Logger>;
  readonly #backoff = new Backoff();
  readonly #abort = new AbortController();
  /** Aborted when no new connection is wanted. */
  readonly #stopping = new AbortController();
  #apiKey = "";
  #session: Session | undefined;
  #started: Promise<void> | undefined;
  #markStarted!: () => void;
  #settle!: { resolve: () => void; reject: (error: unknown) => void };

  /** Throws a `TypeError` for functions, listeners or a concurrency that no server would take. */
  constructor(options: WorkerOptions) {
    const { functions = [], listeners = [], concurrency = 16, logger = stderrLogger } = options;
    const executed: Executable[] = [...functions, ...listeners.map((listener) => listener.prepare())];
    this.#functions = new Map(executed.map((fn) => [fn.id, fn]));
    if (executed.length === 0) throw new TypeError("a worker needs a function or a listener");
    if (this.#functions.size !== executed.length) throw new TypeError("two functions or listeners of the worker have the same id");
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 1024) {
      throw new TypeError("the concurrency of a worker is 1 to 1,024");
    }
    this.#options = options;
    this.#logger = redacting(logger, (text) => this.#redact(text));
    this.stopped = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
  }

  /**
   * Connects, and resolves when the server has accepted the worker for the first time; the open connection then keeps
   * the process alive. Resolves, too, if the worker is stopped before. Rejects if the server refuses it for good.
   */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  /** Takes no more jobs and resolves when those in flight have ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#started === undefined) this.#settle.resolve();
    this.#session?.drain();
    await this.stopped.catch(() => {});
  }

  /** Ends at once: jobs in flight are aborted, and the server hands them to another worker. */
  abort(): void {
    this.#stopping.abort();
    this.#abort.abort();
    this.#session?.terminate();
    if (this.#started === undefined) this.#settle.resolve();
  }

  async #start(): Promise<void> {
    const registered = new Promise<void>((resolve) => (this.#markStarted = resolve));
    const forget = this.#options.handleSignals === false ? () => {} : handleSignals(this, this.#logger);
    const running = this.#run().finally(forget);
    running.then(this.#settle.resolve, this.#settle.reject);
    try {
      await Promise.race([registered, running]);
    } catch (error) {
      // Whoever awaits `start` is told here. A later error is theirs who await `stopped`, or ends the process.
      this.stopped.catch(() => {});
      throw error;
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const url = new URL(parseBaseUrl(fromEnvironment("url", this.#options.url)));
    this.#apiKey = parseApiKey(fromEnvironment("apiKey", this.#options.apiKey));
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/worker`;
    while (!signal.aborted) {
      const reason = await this.#connect(url);
      if (signal.aborted) break;
      const delayMs = this.#backoff.next();
      this.#logger.warn(`not connected to ${url.origin}: ${reason}; trying again in ${delayMs} ms`);
      await pause(delayMs, signal).catch(() => {});
    }
    this.#logger.info("the worker has stopped");
  }

  /** Serves one connection to its end, and returns why it ended. Throws if connecting again cannot help. */
  async #connect(url: URL): Promise<string> {
    const session = new Session({
      functions: this.#functions,
      redactor: this.#redactor,
      logger: this.#logger,
      hello: this.#hello(),
      onRegistered: (frame) => this.#onRegistered(frame),
    });
    try {
      session.open(await connectWebSocket(this.#handshake(url), session));
    } catch (error) {
      if (error instanceof ClavigerError && !FINAL_STATUSES.has(error.status)) return error.message;
      throw error instanceof ClavigerError ? this.#safe(error) : error;
    }
    this.#session = session;
    if (this.#stopping.signal.aborted) session.drain();
    const { reason, fatal } = await session.ended;
    this.#session = undefined;
    if (fatal) throw this.#safe(fatal);
    return reason;
  }

  #handshake(url: URL) {
    return {
      url,
      subprotocol: "claviger.worker.v1",
      headers: { Authorization: `Bearer ${this.#apiKey}` },
      timeoutMs: HANDSHAKE_TIMEOUT_MS,
      maxMessage: MAX_MESSAGE_BYTES,
      signal: AbortSignal.any([this.#abort.signal, this.#stopping.signal]),
    };
  }

  #hello(): string {
    const { name, concurrency = 16 } = this.#options;
    const environment = fromEnvironment("environment", this.#options.environment);
    return JSON.stringify({
      type: "hello",
      protocol: 1,
      sdk: `node/${VERSION}`,
      worker: name ?? `${hostname()}-${process.pid}`,
      ...(environment && { environment }),
      credit: concurrency,
      functions: [...this.#functions.values()].map((fn) => fn.declaration),
    });
  }

  #onRegistered({ environment, functions }: RegisteredFrame): void {
    this.#backoff.reset();
    this.#logger.info(`registered in environment "${environment}" with ${functions.join(", ")}`);
    this.#markStarted();
  }

  /** The error without what must not be shown, whatever the server wrote into it. */
  #safe({ code, status, detail, requestId }: ClavigerError): ClavigerError {
    return new ClavigerError({ code: this.#redact(code), status, detail: this.#redact(detail), requestId });
  }

  #redact(text: string): string {
    const redacted = this.#redactor.redact(text);
    return this.#apiKey === "" ? redacted : redacted.replaceAll(this.#apiKey, "«API key»");
  }
}
