import type { DeliveredSecret } from "./protocol.js";
import { utf8Length } from "./json.js";
import { valueForms } from "./value-forms.js";

/** Shorter values would mask ordinary text. */
const MIN_BYTES = 6;

/** How long a value stays masked after its last job: log lines may come late. */
const LINGER_MS = 60_000;

/** Longer lines are cut, after they were redacted: what is cut before may end within a value. */
const MAX_LINE = 8 * 1024;

interface Tracked {
  readonly mask: string;
  readonly secret: DeliveredSecret;
  /** Made when there is something to redact: most jobs log nothing. */
  forms?: readonly string[];
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
    const held = secrets.filter((secret) => byteLength(secret) >= MIN_BYTES).map((secret) => this.#hold(secret));
    return () => this.#release(held);
  }

  /** `text` with every form of every tracked value replaced, the longest first, and cut to 8 KiB. */
  redact(text: string): string {
    this.#forget();
    const masks = new Map<string, string>();
    for (const tracked of this.#tracked.values()) {
      tracked.forms ??= valueForms(tracked.secret);
      for (const form of tracked.forms) if (text.includes(form)) masks.set(form, tracked.mask);
    }
    const found = [...masks].sort(([left], [right]) => right.length - left.length);
    const redacted = found.reduce((redacted, [form, mask]) => redacted.replaceAll(form, () => mask), text);
    return redacted.length > MAX_LINE ? `${redacted.slice(0, MAX_LINE).toWellFormed()}…` : redacted;
  }

  #hold(secret: DeliveredSecret): Tracked {
    const key = secret.encoding === undefined ? secret.value : `${secret.encoding} ${secret.value}`;
    const tracked = this.#tracked.get(key) ?? { mask: `«${secret.name}@${secret.version}»`, secret, jobs: 0, endedAt: 0 };
    tracked.jobs += 1;
    this.#tracked.set(key, tracked);
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
    for (const [key, { jobs, endedAt }] of this.#tracked) {
      if (jobs === 0 && now - endedAt > LINGER_MS) this.#tracked.delete(key);
    }
  }
}

function byteLength({ value, encoding }: DeliveredSecret): number {
  return encoding === "base64" ? Math.floor((value.replace(/=+$/, "").length * 3) / 4) : utf8Length(value);
}
