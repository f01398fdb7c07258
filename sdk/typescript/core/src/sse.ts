/** One message of a `text/event-stream`. */
export interface SseMessage {
  /** The message's type; `message` if the stream names none. */
  readonly event: string;
  /** The lines of data, joined by line feeds. */
  readonly data: string;
  /** The id this message itself carries; unlike a browser's `lastEventId` it is not inherited from earlier messages. */
  readonly id?: string;
}

/** More text without a line end, or more data in one message, is not a stream of ours. In UTF-16 units. */
const MAX_UNITS = 8 * 1024 * 1024;

/**
 * An incremental parser of server-sent events (WHATWG HTML, section 9.2), fed with decoded text cut anywhere. It differs
 * in one point: a block that has an id or a type but no data is a message too, with empty data.
 */
export class SseParser {
  /** The reconnection time the stream asked for, in milliseconds. */
  retryMs: number | undefined;
  #rest = "";
  /** The last text ended with a carriage return, so a line feed that follows belongs to it. */
  #afterReturn = false;
  #event = "";
  #data: string[] = [];
  #units = 0;
  #id: string | undefined;

  /** The messages that end within `text`. Throws a `RangeError` if a message is over 8 Mi characters. */
  push(text: string): SseMessage[] {
    const messages: SseMessage[] = [];
    for (const line of this.#lines(text)) {
      if (line !== "") this.#field(line);
      else if (this.#event !== "" || this.#data.length > 0 || this.#id !== undefined) messages.push(this.#message());
    }
    if (this.#rest.length + this.#units > MAX_UNITS) throw new RangeError("the event stream holds a message that is too long");
    return messages;
  }

  #lines(text: string): string[] {
    if (text === "") return [];
    const start = this.#afterReturn && text.startsWith("\n") ? 1 : 0;
    this.#afterReturn = text.endsWith("\r");
    // A line that comes in many pieces is scanned once: `rest` holds no line end.
    const lines = text.slice(start).split(/\r\n|\n|\r/);
    lines[0] = this.#rest + (lines[0] ?? "");
    this.#rest = lines.pop() ?? "";
    return lines;
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line.startsWith(" ", colon + 1) ? colon + 2 : colon + 1);
    if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    else if (name === "data") {
      this.#data.push(value);
      this.#units += value.length + 1;
    }
  }

  #message(): SseMessage {
    const message = { event: this.#event || "message", data: this.#data.join("\n") };
    const id = this.#id;
    this.#event = "";
    this.#data = [];
    this.#units = 0;
    this.#id = undefined;
    return id === undefined ? message : { ...message, id };
  }
}
