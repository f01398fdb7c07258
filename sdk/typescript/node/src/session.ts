import { ClavigerError, describeError, type Executable, type LogRedactor, type RegisteredFrame, type ServerFrame } from "@claviger/core";
import { Jobs } from "./jobs.js";
import type { Logger } from "./logger.js";
import type { Closure, WebSocketConnection, WebSocketEvents } from "./websocket/client.js";

/** How long the server may take to accept the worker. */
const REGISTER_TIMEOUT_MS = 10_000;

/** Close codes after which connecting again cannot help: protocol error, bad key, denied registration. */
const FINAL_CLOSE_CODES: ReadonlySet<number> = new Set([4400, 4401, 4403]);

/** What a session works with. */
export interface SessionOptions {
  readonly functions: ReadonlyMap<string, Executable>;
  readonly redactor: LogRedactor;
  readonly logger: Logger;
  /** The `hello` frame. */
  readonly hello: string;
  readonly onRegistered: (frame: RegisteredFrame) => void;
}

/** How a session ended. */
export interface SessionEnd {
  /** What to tell people. */
  readonly reason: string;
  /** Set if connecting again cannot help. */
  readonly fatal?: ClavigerError;
}

/** One connection of a worker: `hello`, jobs, heartbeats, the end. */
export class Session implements WebSocketEvents {
  /** Resolves when the connection is over; its jobs have been aborted then. */
  readonly ended: Promise<SessionEnd>;
  readonly #options: SessionOptions;
  readonly #jobs: Jobs;
  #resolveEnded!: (end: SessionEnd) => void;
  #socket: WebSocketConnection | undefined;
  #heardAt = performance.now();
  #watchdog: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #refusal: ClavigerError | undefined;
  #giveUp: string | undefined;
  #isRegistered = false;
  #isDraining = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.#jobs = new Jobs({
      ...options,
      send: (frame) => this.#socket?.send(frame),
      onIdle: () => this.#closeIfDrained(),
    });
  }

  /** Introduces the worker over a fresh connection. */
  open(socket: WebSocketConnection): void {
    this.#socket = socket;
    this.onActivity();
    this.#watch(REGISTER_TIMEOUT_MS);
    socket.send(this.#options.hello);
    if (this.#isDraining) this.drain();
  }

  /** Takes no more jobs, and closes when those in flight have ended. */
  drain(): void {
    this.#isDraining = true;
    if (this.#isRegistered) this.#socket?.send('{"type":"drain"}');
    this.#closeIfDrained();
  }

  /** Ends at once; jobs in flight are aborted. */
  terminate(): void {
    this.#socket?.terminate();
  }

  onActivity(): void {
    this.#heardAt = performance.now();
  }

  onMessage(text: string): void {
    try {
      this.#onFrame(parseFrame(text));
    } catch (error) {
      this.#giveUp = "the server sent a frame that cannot be understood";
      this.#options.logger.error(`${this.#giveUp}: ${describeError(error).message}`);
      this.terminate();
    }
  }

  #onFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case "job":
        return this.#jobs.start(frame);
      case "ack":
        return this.#jobs.acknowledge(frame);
      case "secret":
        return this.#jobs.answer(frame);
      case "changed":
        return this.#jobs.forget(frame);
      case "cancel":
        return this.#jobs.cancel(frame);
      case "registered":
        return this.#onRegistered(frame);
      case "error":
        return frame.run === undefined ? this.#onRefusal(frame.code, frame.detail) : this.#jobs.refuse(frame);
      case "drain":
        return this.#options.logger.info("the server is going away; jobs in flight go on while it lets them");
      default:
      // A heartbeat counts as activity, and frames of later versions are ignored.
    }
  }

  onClose(closure: Closure): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#watchdog);
    if (this.#jobs.count > 0) this.#options.logger.warn(`the connection has ended: ${this.#jobs.count} jobs are aborted`);
    this.#jobs.abandon();
    this.#resolveEnded(this.#describe(closure));
  }

  #describe({ code, reason }: Closure): SessionEnd {
    if (FINAL_CLOSE_CODES.has(code)) {
      const facts = this.#refusal ?? { code: reason || "denied", detail: "the server refused this worker" };
      const fatal = new ClavigerError({ code: facts.code, detail: facts.detail, status: code });
      return { reason: fatal.message, fatal };
    }
    const told = this.#giveUp ?? (code === 1006 ? "it was lost" : `code ${code}${reason ? `, ${reason}` : ""}`);
    return { reason: this.#refusal ? `${told} (${this.#refusal.message})` : told };
  }

  #onRegistered(frame: RegisteredFrame): void {
    if (this.#isRegistered) return;
    this.#isRegistered = true;
    const everyMs = frame.heartbeatEveryMs;
    this.#heartbeat = setInterval(() => this.#socket?.send('{"type":"heartbeat"}'), everyMs);
    clearTimeout(this.#watchdog);
    this.#watch(2 * everyMs + 5_000);
    this.#options.onRegistered(frame);
    if (this.#isDraining) this.drain();
  }

  #onRefusal(code: string, detail = "the server refused a frame"): void {
    this.#refusal = new ClavigerError({ code, detail, status: 0 });
    this.#options.logger.error(`the server says ${code}: ${detail}`);
  }

  /** Gives the connection up when the server has been silent for that long. */
  #watch(limitMs: number): void {
    const silentMs = performance.now() - this.#heardAt;
    this.#watchdog = setTimeout(() => {
      // After a long computation, received bytes may still wait to be read: look again when they have been.
      setImmediate(() => {
        if (performance.now() - this.#heardAt < limitMs) return this.#watch(limitMs);
        this.#giveUp = `the server was silent for ${limitMs} ms`;
        this.terminate();
      });
    }, Math.max(0, limitMs - silentMs) + 1);
  }

  #closeIfDrained(): void {
    if (this.#isDraining && this.#jobs.count === 0) this.#socket?.close(1000, "the worker has stopped");
  }
}

function parseFrame(text: string): ServerFrame {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    // The parser's message would quote the text, which may hold a secret's value.
    throw new Error("it is not JSON");
  }
  if (typeof frame !== "object" || frame === null) throw new Error("it is not an object");
  return frame as ServerFrame;
}
