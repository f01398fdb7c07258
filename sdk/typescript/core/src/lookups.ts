import { ClavigerError, SecretNotFoundError } from "./errors.js";
import { defer, type Deferred } from "./open-promise.js";
import type { DeliveredSecret, ErrorFrame, JobFrame, SecretFrame } from "./protocol.js";

/** Where a secret is looked up. What is left out is the event's. */
export interface LookupOptions {
  /** A space; `null` is the environment itself. With another environment, that one itself by default. */
  readonly space?: string | null;
  readonly environment?: string;
}

/** The protocol allows so many unanswered look-ups of one job; more wait here. */
const MAX_UNANSWERED = 16;

/** One question to the server, which several look-ups may share. */
interface Question {
  readonly id: string;
  readonly key: string;
  readonly name: string;
  readonly frame: string;
  readonly answer: Deferred;
}

/** A name in one place. */
export interface Place {
  readonly name: string;
  readonly environment: string;
  readonly space: string | null;
}

/**
 * The secrets that one job looks up. What was found, or not found, is remembered for the job; concurrent look-ups of
 * one name in one place are one frame. When the job is over, whatever is open rejects.
 */
export class Lookups {
  readonly #job: JobFrame;
  readonly #send: (frame: string) => void;
  /** Answers, and questions that are open, by place. */
  readonly #known = new Map<string, Question>();
  readonly #unanswered = new Map<string, Question>();
  #queue: Question[] = [];
  #lastId = 0;
  #closed: Error | undefined;

  constructor(job: JobFrame, send: (frame: string) => void) {
    this.#job = job;
    this.#send = send;
  }

  /** The secret in that place; `undefined` if there is none. Rejects when the server cannot say, or the job is over. */
  find(place: Place): Promise<DeliveredSecret | undefined> {
    if (this.#closed) return Promise.reject(this.#closed);
    const key = JSON.stringify([place.name, place.environment, place.space]);
    const question = this.#known.get(key) ?? this.#ask(key, place);
    return question.answer.promise as Promise<DeliveredSecret | undefined>;
  }

  /** The place that a name and options mean. Throws a `TypeError` for a name or options that mean none. */
  place(name: string, options: LookupOptions = {}): Place {
    if (typeof name !== "string" || name === "") throw new TypeError("a secret that is looked up needs a name");
    const { environment = this.#job.event.environment, space = this.#spaceIn(environment) } = options;
    if (typeof environment !== "string" || environment === "") throw new TypeError(`the environment of secret "${name}" is not a name`);
    if (space !== null && (typeof space !== "string" || space === "")) {
      throw new TypeError(`the space of secret "${name}" is not a name; null is the environment itself`);
    }
    return { name, environment, space };
  }

  /** The server has answered. */
  answer(frame: SecretFrame): void {
    const { version, value, encoding } = frame;
    const question = this.#take(frame.id);
    if (version === undefined || value === undefined) question?.answer.resolve(undefined);
    else question?.answer.resolve({ name: question.name, version, value, ...(encoding && { encoding }) });
  }

  /** The server could not say. Another look-up of the name asks again. */
  refuse({ id, code, detail = "the server could not look the secret up" }: ErrorFrame): void {
    const question = this.#take(id);
    if (question === undefined) return;
    this.#drop(question);
    question.answer.reject(new ClavigerError({ code, detail, status: 0 }));
  }

  /** Secrets of that name have changed: later look-ups ask again. Who asked before the change gets what was asked for. */
  forget(name: string): void {
    for (const question of this.#known.values()) if (question.name === name) this.#drop(question);
  }

  /** The job is over: open look-ups and later ones reject with this. */
  close(reason: Error): void {
    if (this.#closed) return;
    this.#closed = reason;
    for (const { answer } of [...this.#unanswered.values(), ...this.#queue]) answer.reject(reason);
    this.#known.clear();
    this.#unanswered.clear();
    this.#queue = [];
  }

  #spaceIn(environment: string): string | null {
    const { event } = this.#job;
    return environment === event.environment ? (event.space ?? null) : null;
  }

  #ask(key: string, place: Place): Question {
    const id = `${++this.#lastId}`;
    const question = { id, key, name: place.name, frame: this.#frame(id, place), answer: defer() };
    this.#known.set(key, question);
    this.#queue.push(question);
    this.#pump();
    return question;
  }

  #pump(): void {
    while (this.#unanswered.size < MAX_UNANSWERED) {
      const question = this.#queue.shift();
      if (question === undefined) return;
      this.#unanswered.set(question.id, question);
      this.#send(question.frame);
    }
  }

  #take(id: string | undefined): Question | undefined {
    const question = id === undefined ? undefined : this.#unanswered.get(id);
    if (question === undefined) return undefined;
    this.#unanswered.delete(question.id);
    this.#pump();
    return question;
  }

  /** Another question may have its place already. */
  #drop(question: Question): void {
    if (this.#known.get(question.key) === question) this.#known.delete(question.key);
  }

  #frame(id: string, { name, environment, space }: Place): string {
    const { run, fence, event } = this.#job;
    return JSON.stringify({
      type: "lookup",
      run,
      fence,
      id,
      name,
      ...(environment !== event.environment && { environment }),
      ...(space !== this.#spaceIn(environment) && { space }),
    });
  }
}

/** The secret, which is there. */
export async function findSecret(lookups: Lookups, name: string, options?: LookupOptions): Promise<DeliveredSecret> {
  const place = lookups.place(name, options);
  const secret = await lookups.find(place);
  if (secret === undefined) throw new SecretNotFoundError(place.name, place.environment, place.space);
  return secret;
}
