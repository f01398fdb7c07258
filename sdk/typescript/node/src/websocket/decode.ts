import { ByteQueue } from "./byte-queue.js";
import { Opcode } from "./encode.js";

/** What a server sent. */
export type Received =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "ping" | "pong"; readonly payload: Buffer }
  | { readonly kind: "close"; readonly code: number; readonly reason: string };

/** The server broke RFC 6455, or our limits; the connection is to be closed with `code`. */
export class WebSocketProtocolError extends Error {
  override readonly name = "WebSocketProtocolError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

interface Header {
  readonly isLast: boolean;
  readonly opcode: number;
  readonly length: number;
}

/** The close code of a close frame without one. */
export const NO_STATUS = 1005;

/** Reads frames as a client (RFC 6455, section 5): unmasked, without extensions, text only. */
export class FrameDecoder {
  readonly #bytes = new ByteQueue();
  readonly #maxMessage: number;
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** The first two bytes of the frame that is being read, and then the rest of its header. */
  #start: Buffer | undefined;
  #header: Header | undefined;
  #fragments: Buffer[] | undefined;
  #fragmentsLength = 0;

  /** `maxMessage` is in bytes. */
  constructor(maxMessage: number) {
    this.#maxMessage = maxMessage;
  }

  /** Takes bytes as they come, and calls `handle` for each thing that is complete. Throws `WebSocketProtocolError`. */
  push(chunk: Buffer, handle: (received: Received) => void): void {
    this.#bytes.push(chunk);
    for (;;) {
      this.#header ??= this.#readHeader();
      const header = this.#header;
      if (header === undefined || this.#bytes.length < header.length) return;
      this.#header = undefined;
      const received = this.#frame(header, this.#bytes.take(header.length));
      if (received) handle(received);
    }
  }

  #readHeader(): Header | undefined {
    if (this.#start === undefined) {
      if (this.#bytes.length < 2) return undefined;
      this.#start = this.#bytes.take(2);
    }
    const [first = 0, second = 0] = this.#start;
    const extra = second === 126 ? 2 : second === 127 ? 8 : 0;
    // Everything that can be refused is refused before more is awaited.
    this.#checkStart(first, second);
    if (this.#bytes.length < extra) return undefined;
    this.#start = undefined;
    const length = extra === 0 ? second : readLength(this.#bytes.take(extra));
    const opcode = first & 0x0f;
    const total = opcode < 8 ? this.#fragmentsLength + length : length;
    if (total > this.#maxMessage) throw new WebSocketProtocolError(1009, `a message is over ${this.#maxMessage} bytes`);
    return { isLast: (first & 0x80) !== 0, opcode, length };
  }

  #checkStart(first: number, second: number): void {
    const opcode = first & 0x0f;
    if ((first & 0x70) !== 0) throw violation("a reserved bit is set");
    if ((second & 0x80) !== 0) throw violation("a server's frame is masked");
    if (opcode === Opcode.binary) throw new WebSocketProtocolError(1003, "a binary message");
    const isControl = opcode >= 8;
    if (isControl && ((first & 0x80) === 0 || (second & 0x7f) > 125)) throw violation("a control frame is fragmented or too long");
    if (isControl ? opcode > Opcode.pong : opcode > Opcode.text) throw violation(`a frame has the unknown type ${opcode}`);
    if (isControl) return;
    if (opcode === Opcode.continuation && !this.#fragments) throw violation("a continuation without a beginning");
    if (opcode === Opcode.text && this.#fragments) throw violation("a message begins within another");
  }

  #frame({ isLast, opcode }: Header, payload: Buffer): Received | undefined {
    if (opcode === Opcode.close) return this.#close(payload);
    if (opcode === Opcode.ping) return { kind: "ping", payload };
    if (opcode === Opcode.pong) return { kind: "pong", payload };
    if (isLast && !this.#fragments) return { kind: "text", text: this.#decode(payload) };
    this.#fragments ??= [];
    this.#fragments.push(payload);
    this.#fragmentsLength += payload.length;
    if (!isLast) return undefined;
    const message = Buffer.concat(this.#fragments, this.#fragmentsLength);
    this.#fragments = undefined;
    this.#fragmentsLength = 0;
    return { kind: "text", text: this.#decode(message) };
  }

  #close(payload: Buffer): Received {
    if (payload.length === 0) return { kind: "close", code: NO_STATUS, reason: "" };
    if (payload.length === 1) throw violation("a close frame with half a code");
    const code = payload.readUInt16BE(0);
    if (!isCloseCode(code)) throw violation(`a close frame with the code ${code}`);
    return { kind: "close", code, reason: this.#decode(payload.subarray(2)) };
  }

  #decode(bytes: Buffer): string {
    try {
      return this.#utf8.decode(bytes);
    } catch {
      throw new WebSocketProtocolError(1007, "text that is not UTF-8");
    }
  }
}

function readLength(bytes: Buffer): number {
  if (bytes.length === 2) return bytes.readUInt16BE(0);
  const high = bytes.readUInt32BE(0);
  return high === 0 ? bytes.readUInt32BE(4) : Number.MAX_SAFE_INTEGER;
}

/** Codes a peer may send (RFC 6455, section 7.4). */
function isCloseCode(code: number): boolean {
  const isDefined = code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code);
  return isDefined || (code >= 3000 && code <= 4999);
}

function violation(what: string): WebSocketProtocolError {
  return new WebSocketProtocolError(1002, what);
}
