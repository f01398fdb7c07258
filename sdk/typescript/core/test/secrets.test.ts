import { inspect } from "node:util";
import { createFunction, DeliveredSecrets, LogRedactor } from "@claviger/core";
import { describe, expect, it } from "vitest";
import { Job } from "./harness.js";

const VALUE = "canary-5e1f00d";

function secrets(warnings: string[] = []) {
  const delivered = [
    { name: "STRIPE_KEY", version: 7, value: VALUE },
    { name: "UNDECLARED", version: 1, value: VALUE },
    { name: "EMPTY", version: 1, value: "" },
    { name: "BYTES", version: 2, value: "/wBhYg==", encoding: "base64" as const },
  ];
  const declared = new Set(["STRIPE_KEY", "SLACK_WEBHOOK", "BYTES", "EMPTY", "__proto__", "toString"]);
  return new DeliveredSecrets(delivered, { function: "payout", environment: "default", declared, warn: (line) => warnings.push(line) });
}

describe("secrets", () => {
  it("gives declared values", () => {
    expect(secrets().get("STRIPE_KEY")).toBe(VALUE);
    expect(secrets().has("STRIPE_KEY")).toBe(true);
    expect(secrets().get("EMPTY")).toBe("");
    expect(new TextDecoder().decode(secrets().getBytes("STRIPE_KEY"))).toBe(VALUE);
  });

  it("tells missing from undeclared", () => {
    expect(() => secrets().get("SLACK_WEBHOOK")).toThrow(/^secret "SLACK_WEBHOOK" is not set in environment "default"$/);
    expect(() => secrets().get("UNDECLARED")).toThrow(/^secret "UNDECLARED" is not declared by function "payout"$/);
    expect(() => secrets().getBytes("UNDECLARED")).toThrow(/is not declared/);
    expect(secrets().has("SLACK_WEBHOOK")).toBe(false);
  });

  it("warns once about has for an undeclared name", () => {
    const warnings: string[] = [];
    expect(secrets(warnings).has("UNDECLARED")).toBe(false);
    expect(secrets(warnings).has("UNDECLARED")).toBe(false);
    expect(warnings).toEqual(['secret "UNDECLARED" is not declared by function "payout", so it is never there']);
  });

  it.each(["constructor", "__proto__", "toString", "hasOwnProperty", "get"])("finds nothing inherited under %s", (name) => {
    expect(secrets().has(name)).toBe(false);
    expect(() => secrets().get(name)).toThrow(/is not (set|declared)/);
  });

  it("gives bytes that are not UTF-8 as bytes only", () => {
    expect([...secrets().getBytes("BYTES")]).toEqual([0xff, 0x00, 0x61, 0x62]);
    expect(() => secrets().get("BYTES")).toThrow(/not UTF-8 text; read it with getBytes/);
    const copy = secrets().getBytes("BYTES");
    copy.fill(0);
    expect(secrets().getBytes("BYTES")[0]).toBe(0xff);
  });

  it("shows no value in any common way", () => {
    const object = secrets();
    const seen = [
      JSON.stringify({ object }),
      inspect(object, { depth: 10, showHidden: true }),
      inspect({ deep: { object } }, { showHidden: true, depth: 10, getters: true }),
      `${object}`,
      JSON.stringify({ ...object }),
      JSON.stringify(Object.entries(object)),
      JSON.stringify(Object.getOwnPropertyDescriptors(object)),
      Reflect.ownKeys(object).join(),
    ].join("\n");
    expect(seen).not.toContain(VALUE);
    expect(seen).toContain("STRIPE_KEY");
    expect(() => structuredClone(object).get("STRIPE_KEY")).toThrow();
  });

  it("shows no value through the whole context", async () => {
    let seen = "";
    const job = new Job(
      (context) => {
        seen = inspect(context, { depth: 10, showHidden: true }) + JSON.stringify(context);
        return context.secrets.get("STRIPE_KEY").length;
      },
      { secrets: [{ name: "STRIPE_KEY", version: 7, value: VALUE }] },
      ["STRIPE_KEY"],
    );
    expect(await job.pass()).toMatchObject({ result: VALUE.length });
    expect(seen).not.toContain(VALUE);
    expect(inspect(job.run, { depth: 10, showHidden: true })).not.toContain(VALUE);
  });

  it("warns through the worker's log", async () => {
    const job = new Job(({ secrets }) => secrets.has("valueOf"));
    expect(await job.pass()).toMatchObject({ result: false });
    expect(job.warnings).toEqual(['secret "valueOf" is not declared by function "payout", so it is never there']);
  });
});

describe("createFunction", () => {
  it("declares what the server needs", () => {
    const fn = createFunction(
      { id: "f", triggers: [{ event: "a" }], secrets: ["A", { name: "B", required: true }], timeout: "5m", concurrency: { limit: 2 }, retry: { maxAttempts: 1 } },
      () => 1,
    );
    const expected = {
      id: "f",
      triggers: [{ event: "a" }],
      secrets: [{ name: "A", required: false }, { name: "B", required: true }],
      retry: { maxAttempts: 1 },
      concurrency: { limit: 2 },
      timeoutMs: 300_000,
    };
    expect(fn.declaration).toEqual(expected);
  });

  it("refuses what no server would take", () => {
    const handler = () => 1;
    expect(() => createFunction({ id: "", triggers: [] }, handler)).toThrow(/needs an id/);
    expect(() => createFunction({ id: "f", triggers: [], secrets: ["A", "A"] }, handler)).toThrow(/twice/);
    expect(() => createFunction({ id: "f", triggers: [], secrets: [""] }, handler)).toThrow(/needs a name/);
    expect(() => createFunction({ id: "f", triggers: [] }, undefined as never)).toThrow(/needs a handler/);
    expect(() => createFunction({ id: "f", triggers: [], timeout: "5 weeks" as never }, handler)).toThrow(/not a duration/);
  });
});

describe("the log redactor", () => {
  it("masks values of live jobs, the longest first, raw and as JSON", () => {
    const redactor = new LogRedactor(() => 0);
    redactor.track([
      { name: "A", version: 1, value: "secret-one" },
      { name: "B", version: 2, value: "secret-one-and-two" },
      { name: "C", version: 3, value: 'line "one"\nline two' },
      { name: "D", version: 4, value: "short" },
    ]);
    expect(redactor.redact("x secret-one-and-two secret-one short")).toBe("x «B@2» «A@1» short");
    expect(redactor.redact(JSON.stringify({ c: 'line "one"\nline two' }))).toBe('{"c":"«C@3»"}');
  });

  it("masks what ordinary programs make of a value", () => {
    const redactor = new LogRedactor(() => 0);
    const value = 'p"q\\/é&<x> %+\t🔑 of a text';
    const lines = "-----BEGIN-----\nthe first line\nthe second line";
    const binary = Buffer.from([0xff, 0, 0xc3, 1, 2, 3, 4]);
    redactor.track([
      { name: "A", version: 1, value },
      { name: "B", version: 2, value: lines },
      { name: "C", version: 3, value: binary.toString("base64"), encoding: "base64" },
    ]);
    const bytes = Buffer.from(value);
    const shown = [
      JSON.stringify({ value }),
      JSON.stringify(JSON.stringify({ value })),
      encodeURIComponent(value),
      new URLSearchParams({ value }).toString(),
      bytes.toString("hex"),
      bytes.toString("hex").toUpperCase(),
      ...["", "x", "xy"].map((before) => Buffer.from(`${before}${value}`).toString("base64url")),
      "the second line alone",
      binary.toString("hex"),
      Buffer.concat([Buffer.from("user:"), binary]).toString("base64"),
    ];
    for (const text of shown) expect(redactor.redact(text)).toMatch(/«[ABC]@[123]»/);
    expect(shown.map((text) => redactor.redact(text)).join(" ")).not.toMatch(/text|second|20 of|6f662061|c30102/i);
  });

  it("cuts long lines after it has redacted them", () => {
    const redactor = new LogRedactor(() => 0);
    redactor.track([{ name: "A", version: 1, value: "a value to be masked" }]);
    const line = redactor.redact(`${"x".repeat(8 * 1024 - 9)}a value to be masked`);
    expect(line.endsWith("x«A@1»…") || line.endsWith("x«A@1»")).toBe(true);
    expect(redactor.redact("y".repeat(10_000))).toHaveLength(8 * 1024 + 1);
  });

  it("takes values literally and forgets them a minute after their last job", () => {
    let now = 0;
    const redactor = new LogRedactor(() => now);
    const value = [{ name: "A", version: 1, value: "$&$1(.*)" }];
    const [one, two] = [redactor.track(value), redactor.track(value)];
    one();
    now = 100_000;
    expect(redactor.redact("<$&$1(.*)>")).toBe("<«A@1»>");
    two();
    now += 59_000;
    expect(redactor.redact("<$&$1(.*)>")).toBe("<«A@1»>");
    now += 2_000;
    expect(redactor.redact("<$&$1(.*)>")).toBe("<$&$1(.*)>");
  });
});
