/** One outcome on its way to the server. */
interface Entry {
  readonly sequence: number;
  readonly text: string;
  /** An error that the function may still let out; it is kept only if the function goes past it. */
  provisional: boolean;
}

/** How much text goes into one frame: three bytes per unit at worst, and a message holds 4 MiB. */
const FRAME_UNITS = 1_000_000;

/** The outcomes of a run that the server has not acknowledged, in the order they arose. */
export class Outbox {
  #pending: Entry[] = [];
  #sent: Entry[] = [];
  #last = 0;

  /** Adds an outcome that is to be kept, as JSON text. */
  add(text: string): void {
    this.#pending.push({ sequence: ++this.#last, text, provisional: false });
  }

  /** Adds an error outcome that is to be kept only once it is confirmed. */
  addProvisional(text: string): void {
    this.#pending.push({ sequence: ++this.#last, text, provisional: true });
  }

  /** The number of the newest outcome; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  /** Whether nothing waits to be sent. */
  get isEmpty(): boolean {
    return this.#pending.length === 0;
  }

  get hasProvisional(): boolean {
    return this.#pending.some((entry) => entry.provisional);
  }

  get hasConfirmed(): boolean {
    return this.#pending.some((entry) => !entry.provisional);
  }

  /** Whether the server has everything up to that outcome. */
  isSettled(sequence: number): boolean {
    const oldest = Math.min(this.#sent[0]?.sequence ?? Infinity, this.#pending[0]?.sequence ?? Infinity);
    return oldest > sequence;
  }

  /** The function went past the errors up to that outcome: they are kept. */
  confirm(sequence: number): void {
    for (const entry of this.#pending) if (entry.sequence <= sequence) entry.provisional = false;
  }

  /** The function let its errors out: those steps have no outcome. */
  dropProvisional(): void {
    this.#pending = this.#pending.filter((entry) => !entry.provisional);
  }

  /** Moves confirmed outcomes, as many as fit a frame, into the unanswered frame, and returns their JSON array. */
  take(): string {
    let units = 0;
    const kept: Entry[] = [];
    this.#sent = [];
    for (const entry of this.#pending) {
      const fits = this.#sent.length === 0 || units + entry.text.length <= FRAME_UNITS;
      if (entry.provisional || !fits) {
        kept.push(entry);
        if (!entry.provisional) units = FRAME_UNITS;
        continue;
      }
      units += entry.text.length;
      this.#sent.push(entry);
    }
    this.#pending = kept;
    return `[${this.#sent.map((entry) => entry.text).join(",")}]`;
  }

  /** The unanswered frame is stored. */
  acknowledge(): void {
    this.#sent = [];
  }
}
