import { describeError, describeWhole, StepError } from "./errors.js";
import { describeFailure, describeThrown } from "./failure.js";
import type { ClavigerFunction, Context } from "./functions.js";
import { decodeEncoded, encodeJson } from "./json.js";
import type { ListenerFunction, ListenerHost } from "./listener.js";
import { Lookups } from "./lookups.js";
import { defer, type Deferred } from "./open-promise.js";
import { Outbox } from "./outbox.js";
import type { AckFrame, ChangedFrame, ErrorFrame, JobFrame, SecretFrame, StepRecord } from "./protocol.js";
import { DeliveredSecrets } from "./secrets.js";
import { createStep, type OpenKind, type StepHost } from "./step.js";
import { StepIds } from "./step-ids.js";

/** What a run needs of the worker that executes it. */
export interface RunHost {
  /** Sends a frame, given as JSON text. */
  send(frame: string): void;
  /** Calls back after one turn of the event loop, when no promise job is left. */
  defer(callback: () => void): void;
  /** Takes a line about something that went wrong in the function. */
  warn(message: string): void;
  /** The job is over; its credit is free. */
  ended(run: Run): void;
}

/** What a worker executes. */
export type Executable = ClavigerFunction | ListenerFunction;

/** What becomes of an error that a step throws: an outcome, if the function goes past it, or nothing. */
type StepErrors = "kept" | "dropped";

type FinalKind = "suspend" | "complete" | "fail";

interface Final {
  readonly kind: "complete" | "fail";
  /** The members of the frame after `outcomes`, as JSON text. */
  readonly members: string;
}

/** Refusals that another attempt would meet again. */
const FINAL_REFUSALS: ReadonlySet<string> = new Set([
  "step_result_too_large",
  "event_too_large",
  "reserved_event_name",
  "invalid_name",
  "invalid_pattern",
  "invalid_request",
]);

/**
 * Executes one job: calls the function, answers its steps from the journal, and reports outcomes.
 *
 * A step's result reaches the function at once, but a later step starts only when the server has every outcome that was
 * there when the step was called. Outcomes ride with the next frame: of the next step, or of the end. At most one frame is
 * unanswered. After the end (or a cancellation) nothing settles any more, so the abandoned function can be collected.
 */
export class Run implements StepHost {
  readonly id: string;
  readonly fence: string;
  readonly #job: JobFrame;
  readonly #function: Executable;
  readonly #host: RunHost;
  readonly #lookups: Lookups;
  readonly #known = new Map<string, StepRecord>();
  readonly #ids = new StepIds();
  readonly #outbox = new Outbox();
  /** Promises of steps that are finished by the server. */
  readonly #open = new Map<string, Deferred>();
  /** Open steps that the function awaits. */
  readonly #awaited = new Set<string>();
  /** Sent events without an answer. */
  readonly #sending = new Set<string>();
  /** Steps that wait until the server has everything up to an outcome. */
  #gated: { readonly after: number; readonly start: () => void }[] = [];
  /** Step functions that run now. */
  #running = 0;
  #unanswered: "step" | FinalKind | undefined;
  #final: Final | undefined;
  /** Errors up to this outcome are confirmed at the next turn, unless they leave the function before. */
  #confirmUpTo = 0;
  /** The function may not do anything more. */
  #closed = false;
  #flushDue = false;
  #turnDue = false;
  #abort: AbortController | undefined;

  /** Throws a `TypeError` for a frame that is no job. */
  constructor(job: JobFrame, fn: Executable, host: RunHost) {
    if (typeof job.run !== "string" || typeof job.event?.name !== "string") throw new TypeError("a job has no run or no event");
    this.id = job.run;
    this.fence = job.fence;
    this.#job = job;
    this.#function = fn;
    this.#host = host;
    this.#lookups = new Lookups(job, (frame) => host.send(frame));
    for (const step of job.steps ?? []) this.#known.set(step.id, step);
  }

  /** Calls the function. */
  start(): void {
    void this.#execute();
  }

  /** The server has stored the unanswered frame. */
  acknowledge(frame: AckFrame): void {
    const kind = this.#unanswered;
    if (kind === undefined) return;
    this.#unanswered = undefined;
    this.#outbox.acknowledge();
    if (frame.ended || kind !== "step") return this.#end();
    for (const step of frame.steps ?? []) this.#learn(step);
    if (this.#final) return this.#finish();
    this.#pump();
    if (!this.#outbox.isEmpty || this.#awaited.size > 0) this.#turn();
  }

  /** The server has answered a look-up. */
  answer(frame: SecretFrame): void {
    this.#lookups.answer(frame);
  }

  /** A secret has changed that was looked up: later look-ups ask again. */
  forget(frame: ChangedFrame): void {
    this.#lookups.forget(frame.name);
  }

  /** The server has refused a look-up, which rejects, or the unanswered frame: then the job ends as failed. */
  refuse(frame: ErrorFrame): void {
    if (frame.id !== undefined) return this.#lookups.refuse(frame);
    const kind = this.#unanswered;
    if (kind === undefined) return;
    this.#unanswered = undefined;
    const error = { name: frame.code, message: frame.detail ?? "the server refused what the run reported" };
    this.#host.warn(`${this.#label()}: the server refused a frame: ${error.name}: ${error.message}`);
    if (kind === "fail") return this.#end();
    this.#closed = true;
    this.#abortWith("the server refused what the run reported");
    this.#unanswered = "fail";
    this.#host.send(this.#frame("fail", "[]", describeFailure(error, !FINAL_REFUSALS.has(frame.code))));
  }

  /** The job is no longer this worker's, for a reason such as `cancelled`, `timeout` or `lost`: nothing more is sent. */
  cancel(reason: string): void {
    this.#abortWith(`the run is over for this worker: ${reason}`);
    this.#end();
  }

  runStep(id: string, action: () => unknown, errors: StepErrors = "kept"): Promise<unknown> {
    const deferred = defer();
    this.#claim(id, deferred, (step, known) => {
      if (known && known.open === undefined) return settle(deferred, known, true);
      this.#gated.push({ after: this.#begin(), start: () => void this.#runAction(step, action, deferred, errors) });
      this.#pump();
    });
    return deferred.promise;
  }

  openStep(id: string, kind: OpenKind, describe: () => string): Promise<unknown> {
    const deferred = defer();
    this.#claim(id, deferred, (step, known) => {
      if (known && known.open === undefined) return settle(deferred, known, kind !== "invoke");
      if (!known) this.#announce(step, kind, describe());
      this.#open.set(step, deferred);
      deferred.promise.whenAwaited(() => {
        this.#awaited.add(step);
        this.#turn();
      });
    });
    return deferred.promise;
  }

  sendStep(id: string, describe: () => string): Promise<unknown> {
    const deferred = defer();
    this.#claim(id, deferred, (step, known) => {
      if (known) return settle(deferred, known, true);
      this.#announce(step, "sendEvent", describe());
      this.#open.set(step, deferred);
      this.#sending.add(step);
      this.#flushSoon();
    });
    return deferred.promise;
  }

  #call(): unknown {
    const executed = this.#function;
    return "react" in executed ? executed.react(this.#listenerHost()) : executed.handler(this.#context(executed));
  }

  #listenerHost(): ListenerHost {
    const { event, attempt, run } = this.#job;
    const signal = () => this.#controller().signal;
    return {
      event,
      attempt,
      runId: run,
      lookups: this.#lookups,
      runOnce: (step, action) => this.runStep(step, action, "dropped"),
      warn: (message) => this.#host.warn(message),
      get signal() {
        return signal();
      },
    };
  }

  #context({ id, secretNames }: ClavigerFunction): Context {
    const { event, attempt, run, secrets = [] } = this.#job;
    const owner = {
      function: id,
      environment: event.environment,
      space: event.space,
      declared: secretNames,
      warn: (message: string) => this.#host.warn(message),
    };
    const signal = () => this.#controller().signal;
    return {
      event,
      attempt,
      runId: run,
      secrets: new DeliveredSecrets(secrets, owner),
      step: createStep(this),
      get signal() {
        return signal();
      },
    };
  }

  async #execute(): Promise<void> {
    try {
      const result = await this.#call();
      if (this.#closed) return;
      const text = encodeJson(result, `the result of function "${this.#function.id}"`);
      this.#final = { kind: "complete", members: `,"result":${text}` };
    } catch (error) {
      if (this.#closed) return;
      this.#final = { kind: "fail", members: describeThrown(error) };
      const { name, message } = describeWhole(error);
      this.#host.warn(`${this.#label()} failed: ${name}: ${message}`);
    }
    this.#gated = [];
    this.#lookups.close(new Error(`the event of run ${this.id} is handled: nothing is looked up for it any more`));
    this.#finish();
  }

  /** Claims the id and goes on with what the journal knows of it, unless the function may not do anything more. */
  #claim(id: string, deferred: Deferred, proceed: (step: string, known: StepRecord | undefined) => void): void {
    if (this.#closed || this.#final) return;
    try {
      const step = this.#ids.claim(id);
      proceed(step, this.#known.get(step));
    } catch (error) {
      deferred.reject(error);
    }
  }

  /** A step that the journal does not know begins: the function went past its earlier errors. Returns the gate. */
  #begin(): number {
    if (this.#outbox.hasProvisional) {
      this.#confirmUpTo = this.#outbox.last;
      this.#turn();
    }
    return this.#outbox.last;
  }

  #announce(step: string, kind: OpenKind | "sendEvent", members: string): void {
    this.#begin();
    this.#outbox.add(`{"id":${JSON.stringify(step)},"kind":"${kind}",${members}}`);
    this.#turn();
  }

  async #runAction(step: string, action: () => unknown, deferred: Deferred, errors: StepErrors): Promise<void> {
    this.#running += 1;
    const prefix = `{"id":${JSON.stringify(step)},"kind":"run",`;
    let deliver: () => void;
    try {
      // Not at once: steps called together must not see each other's outcomes.
      await undefined;
      if (this.#closed) return;
      const value = await action();
      const text = encodeJson(value, `the result of step "${step}"`);
      const result = decodeEncoded(value, text);
      this.#outbox.add(`${prefix}"result":${text}}`);
      deliver = () => deferred.resolve(result);
    } catch (error) {
      if (errors === "kept") this.#outbox.addProvisional(`${prefix}"error":${JSON.stringify(describeError(error))}}`);
      deliver = () => deferred.reject(error);
    } finally {
      this.#running -= 1;
    }
    if (this.#closed) return;
    if (this.#final) return this.#finish();
    deliver();
    this.#turn();
  }

  /** Starts the steps whose gate is open, and asks for what the others wait for. */
  #pump(): void {
    while (this.#gated[0] && this.#outbox.isSettled(this.#gated[0].after)) this.#gated.shift()?.start();
    if (this.#gated.length > 0) this.#flushSoon();
  }

  /** Sends what is pending when the current promise job is done, so that steps called together share a frame. */
  #flushSoon(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    queueMicrotask(() => {
      this.#flushDue = false;
      if (this.#closed || this.#unanswered || this.#final) return;
      // An error may be about to leave the function: the next turn knows.
      if (this.#outbox.hasProvisional) return this.#turn();
      if (!this.#outbox.isEmpty) this.#send("step");
    });
  }

  /** Looks again after one turn of the event loop, when the function has gone as far as it can. */
  #turn(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    this.#host.defer(() => {
      this.#turnDue = false;
      if (this.#closed || this.#unanswered || this.#final) return;
      this.#outbox.confirm(this.#confirmUpTo);
      if (this.#isIdle()) this.#send("suspend");
      else if (this.#outbox.hasConfirmed) this.#send("step");
    });
  }

  /** Whether all that the function waits for is open steps. */
  #isIdle(): boolean {
    return this.#awaited.size > 0 && this.#running === 0 && this.#gated.length === 0 && this.#sending.size === 0;
  }

  /** Reports the function's end as soon as nothing stands before it. */
  #finish(): void {
    if (!this.#final || this.#closed || this.#unanswered) return;
    if (this.#final.kind === "complete") this.#outbox.confirm(this.#outbox.last);
    else {
      // A step that still runs is waited for: its result must not be lost to the next attempt.
      if (this.#running > 0) return;
      this.#outbox.dropProvisional();
    }
    this.#send(this.#final.kind, this.#final.members);
  }

  /** Sends a frame with the pending outcomes; a `step` frame first if they do not fit. */
  #send(kind: "step" | FinalKind, members = ""): void {
    const outcomes = this.#outbox.take();
    const fits = kind === "step" || !this.#outbox.hasConfirmed;
    this.#unanswered = fits ? kind : "step";
    if (fits && kind !== "step") this.#closed = true;
    this.#host.send(this.#frame(this.#unanswered, outcomes, fits ? members : ""));
  }

  #frame(kind: "step" | FinalKind, outcomes: string, members: string): string {
    const { run, fence } = this.#job;
    return `{"type":"${kind}","run":${JSON.stringify(run)},"fence":${JSON.stringify(fence)},"outcomes":${outcomes}${members}}`;
  }

  /** The kept outcome of a step that the server finished. */
  #learn(step: StepRecord): void {
    const deferred = this.#open.get(step.id);
    if (deferred === undefined || step.open !== undefined) return;
    this.#open.delete(step.id);
    this.#awaited.delete(step.id);
    this.#sending.delete(step.id);
    settle(deferred, step, true);
  }

  #end(): void {
    this.#closed = true;
    this.#unanswered = undefined;
    this.#gated = [];
    this.#open.clear();
    this.#lookups.close(new DOMException("the run is over for this worker", "AbortError"));
    if (this.#running > 0) this.#abortWith("the run has ended");
    this.#host.ended(this);
  }

  #controller(): AbortController {
    this.#abort ??= new AbortController();
    return this.#abort;
  }

  #abortWith(reason: string): void {
    const error = new DOMException(reason, "AbortError");
    this.#controller().abort(error);
    this.#lookups.close(error);
  }

  #label(): string {
    return `run ${this.id}, attempt ${this.#job.attempt} of function "${this.#function.id}"`;
  }
}

function settle(deferred: Deferred, step: StepRecord, retryable: boolean): void {
  if (step.error) deferred.reject(new StepError(step.id, step.error, retryable));
  else deferred.resolve(step.result ?? null);
}
