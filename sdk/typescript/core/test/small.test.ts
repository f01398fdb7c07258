import { Backoff, encodeJson, parseDuration, pause, utf8Length } from "@claviger/core";
import { describe, expect, it, vi } from "vitest";

describe("durations", () => {
  it.each([[0, 0], [1.4, 1], ["250ms", 250], ["5s", 5_000], ["2m", 120_000], ["1h", 3_600_000], ["3d", 259_200_000]] as const)("reads %s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(["", "5", "s", "-1s", "1.5h", "5 s", "1w", Number.NaN, Number.POSITIVE_INFINITY, -1, "9".repeat(20) + "d"])("refuses %s", (text) => {
    expect(() => parseDuration(text as never)).toThrow(/is not a duration/);
  });
});

describe("backoff", () => {
  it("doubles from the first to the most, with full jitter", () => {
    const backoff = new Backoff(100, 10_000, () => 1);
    expect(Array.from({ length: 9 }, () => backoff.next())).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    backoff.reset();
    expect(backoff.next()).toBe(100);
    const lucky = new Backoff(100, 10_000, () => 0);
    expect(lucky.next()).toBe(0);
  });

  it("is cut short by a signal", async () => {
    vi.useFakeTimers();
    const abort = new AbortController();
    const pausing = pause(1_000_000, abort.signal);
    abort.abort(new Error("enough"));
    await expect(pausing).rejects.toThrow("enough");
    expect(vi.getTimerCount()).toBe(0);
    await expect(pause(1, abort.signal)).rejects.toThrow("enough");
    vi.useRealTimers();
  });
});

describe("JSON text", () => {
  it("is counted in bytes of UTF-8", () => {
    for (const text of ["", "abc", "é", "€", "😀", "a€😀é"]) expect(utf8Length(text)).toBe(Buffer.byteLength(text));
  });

  it("is what JSON.stringify writes, for what JSON can carry", () => {
    for (const value of [0, -1.5, "", "é", true, null, [], {}, { a: [1, { b: null }], u: undefined }, new Date(0), Object.create(null)]) {
      expect(encodeJson(value, "it")).toBe(JSON.stringify(value));
    }
    expect(encodeJson(undefined, "it")).toBe("null");
    expect(encodeJson({ toJSON: () => undefined }, "it")).toBe("null");
  });

  it("may hold one object twice, next to each other", () => {
    const shared = { a: 1 };
    expect(encodeJson([shared, shared], "it")).toBe('[{"a":1},{"a":1}]');
  });
});
