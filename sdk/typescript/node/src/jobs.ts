import {
  type AckFrame,
  type CancelFrame,
  type ChangedFrame,
  type ErrorFrame,
  type Executable,
  type JobFrame,
  type LogRedactor,
  Run,
  type SecretFrame,
} from "@claviger/core";
import type { Logger } from "./logger.js";

/** What the jobs of a connection share. */
export interface JobsOptions {
  readonly functions: ReadonlyMap<string, Executable>;
  readonly redactor: LogRedactor;
  readonly logger: Logger;
  /** Sends a frame over the connection. */
  readonly send: (frame: string) => void;
  /** The last job has ended. */
  readonly onIdle: () => void;
}

interface Job {
  readonly run: Run;
  /** Let the log redactor forget the job's secrets. */
  readonly releases: (() => void)[];
}

/** The jobs of one connection, by run. They end with it. */
export class Jobs {
  readonly #options: JobsOptions;
  readonly #jobs = new Map<string, Job>();

  constructor(options: JobsOptions) {
    this.#options = options;
  }

  /** How many jobs are held. */
  get count(): number {
    return this.#jobs.size;
  }

  /** Executes a job. An older claim of the same run is dropped. */
  start(frame: JobFrame): void {
    const { functions, redactor, logger, send } = this.#options;
    this.#jobs.get(frame.run)?.run.cancel("lost");
    const fn = functions.get(frame.function);
    if (fn === undefined) return this.#refuse(frame);
    const run = new Run(frame, fn, {
      send,
      defer: setImmediate,
      warn: (message) => logger.warn(message),
      ended: (ended) => this.#end(ended),
    });
    this.#jobs.set(frame.run, { run, releases: [redactor.track(frame.secrets ?? [])] });
    run.start();
  }

  acknowledge(frame: AckFrame): void {
    this.#find(frame)?.run.acknowledge(frame);
  }

  /** Hands a secret over that a job has looked up; it is masked before the job has it. */
  answer(frame: SecretFrame): void {
    const job = this.#find(frame);
    const { name, version, value, encoding } = frame;
    if (version !== undefined && value !== undefined) {
      job?.releases.push(this.#options.redactor.track([{ name, version, value, ...(encoding && { encoding }) }]));
    }
    job?.run.answer(frame);
  }

  /** A secret has changed that a job has looked up. */
  forget(frame: ChangedFrame): void {
    this.#find(frame)?.run.forget(frame);
  }

  cancel(frame: CancelFrame): void {
    const run = this.#find(frame)?.run;
    if (run === undefined) return;
    this.#options.logger.info(`run ${run.id} is over for this worker: ${frame.reason}`);
    run.cancel(frame.reason);
  }

  refuse(frame: ErrorFrame): void {
    const { run, fence } = frame;
    if (run === undefined) return;
    const job = fence === undefined ? this.#jobs.get(run) : this.#find({ run, fence });
    job?.run.refuse(frame);
  }

  /** Aborts every job, because the connection has ended. */
  abandon(): void {
    for (const { run } of [...this.#jobs.values()]) run.cancel("lost");
  }

  #find({ run, fence }: { readonly run: string; readonly fence: string }): Job | undefined {
    const job = this.#jobs.get(run);
    return job?.run.fence === fence ? job : undefined;
  }

  #end(run: Run): void {
    const job = this.#jobs.get(run.id);
    if (job?.run !== run) return;
    for (const release of job.releases) release();
    this.#jobs.delete(run.id);
    if (this.#jobs.size === 0) this.#options.onIdle();
  }

  /** The server handed out a function that this worker did not declare. */
  #refuse({ run, fence, function: name }: JobFrame): void {
    const error = { name: "function_not_found", message: `this worker has no function "${name}"` };
    this.#options.logger.error(`run ${run}: ${error.message}`);
    this.#options.send(JSON.stringify({ type: "fail", run, fence, outcomes: [], error, retryable: true }));
  }
}
