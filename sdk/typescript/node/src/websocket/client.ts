import type { Duplex } from "node:stream";
import { FrameDecoder, NO_STATUS, type Received, WebSocketProtocolError } from "./decode.js";
import { closePayload, encodeControl, encodeText, Opcode } from "./encode.js";
import type { Upgraded } from "./handshake.js";

/** How a connection ended; `code` is 1006 without a close frame. */
export interface Closure {
  readonly code: number;
  readonly reason: string;
}

/** What happens with what a connection receives. */
export interface WebSocketEvents {
  /** A whole text message. */
  onMessage(text: string): void;
  /** Anything at all was received. */
  onActivity?(): void;
  /** The connection is over; called once, and nothing after it. */
  onClose(closure: Closure): void;
}

/** How long the server may take to answer a close frame. */
const CLOSE_TIMEOUT_MS = 5_000;

const ABNORMAL = 1006;

/** The client's side of an open WebSocket connection (RFC 6455), without extensions, for text messages. */
export class WebSocketConnection {
  readonly #socket: Duplex;
  readonly #decoder: FrameDecoder;
  readonly #events: WebSocketEvents;
  #state: "open" | "closing" | "closed" = "open";
  #closure: Closure = { code: ABNORMAL, reason: "" };
  /** The server's close frame has come, or a violation. */
  #isOver = false;
  #isCorked = false;
  #timer: NodeJS.Timeout | undefined;

  /** Takes over an upgraded socket. `maxMessage` is in bytes. Events come in later turns, never from here. */
  constructor({ socket, head }: Upgraded, maxMessage: number, events: WebSocketEvents) {
    this.#socket = socket;
    this.#decoder = new FrameDecoder(maxMessage);
    this.#events = events;
    if ("setNoDelay" in socket && typeof socket.setNoDelay === "function") socket.setNoDelay(true);
    if (head.length > 0) socket.unshift(head);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => socket.destroy());
    socket.on("end", () => this.#onEnd());
    socket.on("close", () => this.#onClose());
  }

  /** Sends a text message; after the end it does nothing. Messages of one turn go out in one write. */
  send(text: string): void {
    if (this.#state === "open") this.#write(encodeText(text));
  }

  /** Begins the closing handshake. Messages that arrive before the server's answer are still delivered. */
  close(code: number, reason = ""): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#write(encodeControl(Opcode.close, closePayload(code, reason)));
    this.#timer = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
  }

  /** Ends the connection at once, without a closing handshake. */
  terminate(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    // After a close frame or a violation nothing counts any more.
    if (this.#isOver) return;
    this.#events.onActivity?.();
    try {
      this.#decoder.push(chunk, (received) => this.#handle(received));
    } catch (error) {
      if (!(error instanceof WebSocketProtocolError)) throw error;
      this.#closure = { code: error.code, reason: error.message };
      this.#finish(closePayload(error.code, error.message));
    }
  }

  #handle(received: Received): void {
    if (this.#isOver) return;
    switch (received.kind) {
      case "text":
        return this.#events.onMessage(received.text);
      case "ping":
        if (this.#state === "open") this.#write(encodeControl(Opcode.pong, received.payload));
        return;
      case "pong":
        return;
      case "close":
        this.#closure = { code: received.code, reason: received.reason };
        this.#finish(received.code === NO_STATUS ? Buffer.alloc(0) : closePayload(received.code, ""));
    }
  }

  /** Sends a close frame unless one was sent, and ends our side. */
  #finish(payload: Buffer): void {
    this.#isOver = true;
    if (this.#state === "open") this.#write(encodeControl(Opcode.close, payload));
    this.#state = "closing";
    this.#socket.end();
    this.#timer ??= setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
  }

  #write(frame: Buffer): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame);
  }

  /** The server ended its side. */
  #onEnd(): void {
    if (!this.#socket.writableEnded) this.#socket.end();
  }

  #onClose(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#events.onClose(this.#closure);
  }
}
