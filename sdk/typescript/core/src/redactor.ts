import type { DeliveredSecret } from "./protocol.js";
import { utf8Length } from "./json.js";

/** Shorter values would mask ordinary text. */
const MIN_BYTES = 6;

/** How long a value stays masked after its last job: log lines may come late. */
const LINGER_MS = 60_000;

interface Tracked {
  readonly mask: string;
  jobs: number;
  /** When the last job ended; counts only while `jobs` is 0. */
  endedAt: number;
}

/** Masks the values handed to jobs in this process's own log lines, as `«NAME@version»`. */
export class LogRedactor {
  readonly #tracked = new Map<string, Tracked>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Masks these values from now on, until a minute after the returned function has been called. */
  track(secrets: readonly DeliveredSecret[]): () => void {
    const held: Tracked[] = [];
    for (const { name, version, value, encoding } of secrets) {
      if (utf8Length(value) < MIN_BYTES) continue;
      const mask = `«${name}@${version}»`;
      held.push(this.#hold(value, mask));
      const escaped = JSON.stringify(value).slice(1, -1);
      if (encoding === undefined && escaped !== value) held.push(this.#hold(escaped, mask));
    }
    return () => this.#release(held);
  }

  /** `text` with every tracked value replaced, the longest first. */
  redact(text: string): string {
    this.#forget();
    const found = [...this.#tracked].filter(([value]) => text.includes(value));
    found.sort(([left], [right]) => right.length - left.length);
    return found.reduce((redacted, [value, { mask }]) => redacted.replaceAll(value, () => mask), text);
  }

  #hold(value: string, mask: string): Tracked {
    const tracked = this.#tracked.get(value) ?? { mask, jobs: 0, endedAt: 0 };
    tracked.jobs += 1;
    this.#tracked.set(value, tracked);
    return tracked;
  }

  #release(held: readonly Tracked[]): void {
    for (const tracked of held) {
      tracked.jobs -= 1;
      tracked.endedAt = this.#now();
    }
    this.#forget();
  }

  #forget(): void {
    const now = this.#now();
    for (const [value, { jobs, endedAt }] of this.#tracked) {
      if (jobs === 0 && now - endedAt > LINGER_MS) this.#tracked.delete(value);
    }
  }
}
