import { type AckFrame, createFunction, type Handler, type JobFrame, Listener, Run, type SecretFrame, type StepRecord } from "@claviger/core";

/** A frame a run sent. */
export interface Sent {
  readonly type: string;
  readonly outcomes: readonly { readonly id: string; readonly kind: string; readonly [member: string]: unknown }[];
  readonly [member: string]: any;
}

/** One job with a server played by the test: frames are awaited and answered one by one. */
export class Job {
  readonly warnings: string[] = [];
  /** Resolves when the run gives its credit back. */
  readonly ended: Promise<void>;
  readonly run: Run;
  isEnded = false;
  /** How many frames were sent. */
  sent = 0;
  #frames: Sent[] = [];
  #waiting: ((frame: Sent) => void) | undefined;

  constructor(handler: Handler<any, any, unknown> | Listener, job: Partial<JobFrame> = {}, secrets: readonly string[] = []) {
    const isListener = handler instanceof Listener;
    const fn = isListener ? handler.prepare() : createFunction({ id: "payout", triggers: [{ event: "asked" }], secrets }, handler);
    let markEnded!: () => void;
    this.ended = new Promise((resolve) => (markEnded = resolve));
    const event = { id: "e1", name: "asked", data: { amount: 12 }, at: 1_790_000_000_000, environment: "default" };
    const frame: JobFrame = { type: "job", run: "run_1", fence: "f1", function: "payout", attempt: 1, event, steps: [], secrets: [], ...job };
    this.run = new Run(frame, fn, {
      send: (text) => this.#take(JSON.parse(text)),
      defer: setImmediate,
      warn: (message) => this.warnings.push(message),
      ended: () => {
        this.isEnded = true;
        markEnded();
      },
    });
    this.run.start();
  }

  /** The next frame. */
  next(): Promise<Sent> {
    const frame = this.#frames.shift();
    return frame ? Promise.resolve(frame) : new Promise((resolve) => (this.#waiting = resolve));
  }

  ack(steps: readonly StepRecord[] = [], ended = false): void {
    const frame: AckFrame = { type: "ack", run: "run_1", fence: "f1", ended, steps };
    this.run.acknowledge(frame);
  }

  /** Awaits the next frame and acknowledges it. */
  async pass(steps: readonly StepRecord[] = []): Promise<Sent> {
    const frame = await this.next();
    this.ack(steps, frame.type !== "step");
    return frame;
  }

  /** Answers a look-up: with a value, or that there is none. */
  found(id: string, secret: Partial<SecretFrame> = {}): void {
    this.run.answer({ type: "secret", run: "run_1", fence: "f1", id, name: "SLACK_TOKEN", ...secret });
  }

  changed(name: string): void {
    this.run.forget({ type: "changed", run: "run_1", fence: "f1", name });
  }

  /** Frames that nobody has taken. */
  get untaken(): readonly Sent[] {
    return this.#frames;
  }

  #take(frame: Sent): void {
    this.sent += 1;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting(frame);
    else this.#frames.push(frame);
  }
}

/** Lets the event loop go through several turns, so that everything that can happen has happened. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A promise settled by the test. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
