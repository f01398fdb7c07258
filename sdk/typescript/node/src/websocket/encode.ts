import { randomFillSync } from "node:crypto";

/** Frame types of RFC 6455, section 5.2. */
export const Opcode = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** Masks are drawn from a pool, since asking for four bytes costs as much as asking for thousands. */
const pool = Buffer.alloc(4 * 1024);
let poolUsed = pool.length;

/** A whole text message as one masked frame. */
export function encodeText(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const { frame, offset } = allocate(Opcode.text, length);
  frame.write(text, offset, "utf8");
  return mask(frame, offset);
}

/** A masked control frame; `payload` has at most 125 bytes. */
export function encodeControl(opcode: number, payload: Buffer): Buffer {
  const { frame, offset } = allocate(opcode, payload.length);
  payload.copy(frame, offset);
  return mask(frame, offset);
}

/** The payload of a close frame; the reason is cut to what fits. */
export function closePayload(code: number, reason: string): Buffer {
  const text = Buffer.from(reason);
  // A cut may not split a character.
  let end = Math.min(text.length, 123);
  while (end > 0 && end < text.length && ((text[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  const payload = Buffer.alloc(2 + end);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2, 0, end);
  return payload;
}

function allocate(opcode: number, length: number): { frame: Buffer; offset: number } {
  const offset = length < 126 ? 6 : length < 65_536 ? 8 : 14;
  const frame = Buffer.allocUnsafe(offset + length);
  frame[0] = 0x80 | opcode;
  if (offset === 6) frame[1] = 0x80 | length;
  else if (offset === 8) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeUInt32BE(0, 2);
    frame.writeUInt32BE(length, 6);
  }
  return { frame, offset };
}

/** Draws a mask, writes it before the payload and applies it. */
function mask(frame: Buffer, offset: number): Buffer {
  if (poolUsed === pool.length) {
    randomFillSync(pool);
    poolUsed = 0;
  }
  const key = pool.subarray(poolUsed, poolUsed + 4);
  poolUsed += 4;
  key.copy(frame, offset - 4);
  for (let index = offset; index < frame.length; index++) {
    frame[index] = (frame[index] ?? 0) ^ (key[(index - offset) & 3] ?? 0);
  }
  return frame;
}
