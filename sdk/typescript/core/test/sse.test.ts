import { type SseMessage, SseParser } from "@claviger/core";
import { describe, expect, it } from "vitest";

const STREAM = [
  "\ufeff: keep-alive\n\n",
  'event: ready\nid: c0\n\n',
  'id: c1\r\nevent: event\r\ndata: {"a":"é😀"}\r\n\r\n',
  "data: one\rdata:two\rdata:  three\rid\r\r",
  "data\n\n",
  "id: bad\0id\ndata: x\nunknown: y\nretry: 250\nretry: 1x\n\n",
  ":\n:: comment\ndata: last:colon\n\n",
  "data: never dispatched\n",
].join("");

const MESSAGES: SseMessage[] = [
  { event: "ready", data: "", id: "c0" },
  { event: "event", data: '{"a":"é😀"}', id: "c1" },
  { event: "message", data: "one\ntwo\n three", id: "" },
  { event: "message", data: "" },
  { event: "message", data: "x" },
  { event: "message", data: "last:colon" },
];

function parse(pieces: readonly Uint8Array[]): { messages: SseMessage[]; parser: SseParser } {
  const parser = new SseParser();
  const decoder = new TextDecoder();
  const messages = pieces.flatMap((piece) => parser.push(decoder.decode(piece, { stream: true })));
  return { messages, parser };
}

describe("the event stream parser", () => {
  const bytes = new TextEncoder().encode(STREAM);

  it("reads a whole stream", () => {
    const { messages, parser } = parse([bytes]);
    expect(messages).toEqual(MESSAGES);
    expect(parser.retryMs).toBe(250);
  });

  it("reads the same wherever the stream is cut in two", () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(parse([bytes.subarray(0, cut), bytes.subarray(cut)]).messages, `cut at ${cut}`).toEqual(MESSAGES);
    }
  });

  it("reads the same in pieces of any size", () => {
    for (let size = 1; size < 20; size++) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
      expect(parse(pieces).messages, `pieces of ${size}`).toEqual(MESSAGES);
    }
  });

  it("reads the same with any mixture of line ends and cuts", () => {
    let seed = 1;
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let round = 0; round < 300; round++) {
      const ends = ["\n", "\r", "\r\n"];
      const lines = ["id: 1", "event: e", "data: a", "data: b", "", "data: c", ""];
      const text = `${lines.map((line) => line + ends[random(3)]).join("")}\n\n`;
      const parser = new SseParser();
      const messages: SseMessage[] = [];
      for (let at = 0; at < text.length; ) {
        const next = at + 1 + random(4);
        messages.push(...parser.push(text.slice(at, next)));
        at = next;
      }
      const expected = expectedOf(text);
      expect(messages, JSON.stringify(text)).toEqual(expected);
    }
  });

  it("refuses a message without end", () => {
    const parser = new SseParser();
    const piece = `data: ${"x".repeat(1024 * 1024)}\n`;
    expect(() => Array.from({ length: 9 }, () => parser.push(piece))).toThrow(RangeError);
    expect(() => new SseParser().push("x".repeat(9 * 1024 * 1024))).toThrow(RangeError);
  });
});

/** The naive reading of a whole text, for comparison. */
function expectedOf(text: string): SseMessage[] {
  const normal = text.replace(/\r\n|\r/g, "\n");
  return normal
    .split("\n\n")
    .map((block) => block.replace(/^\n+/, ""))
    .filter((block) => block !== "")
    .map((block) => {
      const fields = block.split("\n").map((line) => line.split(": ") as [string, string]);
      const all = (name: string) => fields.filter(([field]) => field === name).map(([, value]) => value);
      const id = all("id")[0];
      return { event: all("event")[0] ?? "message", data: all("data").join("\n"), ...(id !== undefined && { id }) };
    });
}
