/** Received bytes, in the pieces they came in; each byte is copied at most once. */
export class ByteQueue {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** Removes the first `count` bytes, which must be there. */
  take(count: number): Buffer {
    const first = this.#chunks[0];
    this.#length -= count;
    if (first === undefined) return Buffer.alloc(0);
    if (first.length > count) {
      this.#chunks[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    if (first.length === count) return this.#chunks.shift() as Buffer;
    return this.#gather(count);
  }

  #gather(count: number): Buffer {
    const target = Buffer.allocUnsafe(count);
    let filled = 0;
    let used = 0;
    for (const chunk of this.#chunks) {
      const part = Math.min(chunk.length, count - filled);
      chunk.copy(target, filled, 0, part);
      filled += part;
      if (part < chunk.length) {
        this.#chunks[used] = chunk.subarray(part);
        break;
      }
      used += 1;
      if (filled === count) break;
    }
    this.#chunks.splice(0, used);
    return target;
  }
}
