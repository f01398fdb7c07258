import { createFunction, type EventFilter, Listener, type ListenerEvent, NonRetryableError, RetryAfterError, type TriggerEvent } from "@claviger/core";
import { describe, expect, it } from "vitest";
import { Job } from "./harness.js";

const event = (members: Partial<TriggerEvent> = {}): TriggerEvent => ({
  id: "e1",
  name: "order:created",
  data: { kind: "big", items: [{ sku: "a" }], none: null, deep: { x: [1, { y: 2 }] } },
  at: 1_790_000_000_000,
  environment: "default",
  space: "acme",
  ...members,
});

describe("a listener", () => {
  it("declares its patterns, filters and limits", () => {
    const listener = new Listener({ id: "orders", spaces: ["acme", "other"], retry: { maxAttempts: 2 }, concurrency: { limit: 3 }, timeout: "10s" })
      .on("order:created", () => {})
      .on("order.*", { "data.kind": "big", "data.items.0": { sku: "a" } }, () => {})
      .on("order:created", () => {});
    expect(listener.prepare().declaration).toEqual({
      id: "orders",
      triggers: [
        { event: "order:created" },
        { event: "order.*", match: [{ path: "data.kind", equals: "big" }, { path: "data.items.0", equals: { sku: "a" } }] },
      ],
      spaces: ["acme", "other"],
      secrets: [],
      lookups: true,
      retry: { maxAttempts: 2 },
      concurrency: { limit: 3 },
      timeoutMs: 10_000,
    });
    expect(new Listener({ id: "all" }).on(">", () => {}).prepare().declaration).not.toHaveProperty("spaces");
  });

  it("hands an event over with its space, and keeps nothing of what a handler returns", async () => {
    let seen: ListenerEvent | undefined;
    let facts: unknown[] = [];
    const listener = new Listener({ id: "orders" }).on("order:created", (event, context) => {
      seen = event;
      facts = [context.attempt, context.runId, context.signal.aborted];
      return 10n;
    });
    const job = new Job(listener, { event: event(), attempt: 3 });
    expect(await job.pass()).toEqual({ type: "complete", run: "run_1", fence: "f1", outcomes: [], result: null });
    expect(JSON.parse(JSON.stringify(seen))).toEqual(event());
    expect(seen?.secrets).toBeTypeOf("function");
    expect(facts).toEqual([3, "run_1", false]);
  });

  it("lets an attempt fail when its only handler fails", async () => {
    const listener = new Listener({ id: "orders" }).on(">", () => Promise.reject(new RetryAfterError(1500)));
    const job = new Job(listener, { event: event({ name: "order.late" }) });
    expect(await job.pass()).toMatchObject({ type: "fail", outcomes: [], retryable: true, retryAfterMs: 1500 });
    expect(job.warnings).toEqual(['run run_1, attempt 1 of function "orders" failed: RetryAfterError: try again in 1500 ms']);
  });

  it("lets an attempt fail when no handler of this worker is for the event", async () => {
    const job = new Job(new Listener({ id: "orders" }).on("order:created", () => {}), { event: event({ name: "system.run.invoked" }) });
    const message = 'listener "orders" of this worker has no handler for event "system.run.invoked"';
    expect(await job.pass()).toMatchObject({ type: "fail", retryable: true, error: { message } });
  });

  it("refuses what no server would take", () => {
    const listener = new Listener({ id: "orders" });
    const handler = () => {};
    expect(() => new Listener({ id: "" })).toThrow(/needs an id/);
    expect(() => new Listener({ id: "l", spaces: [] })).toThrow(/spaces of listener "l" are names, at least one/);
    expect(() => new Listener({ id: "l", spaces: "acme" as never })).toThrow(/are names/);
    expect(() => listener.prepare()).toThrow(/"orders" has no handler/);
    expect(() => listener.on("", handler)).toThrow(/needs a pattern/);
    expect(() => listener.on("a", undefined as never)).toThrow(/"a" of listener "orders" needs a handler/);
    expect(() => listener.on("a", {}, undefined as never)).toThrow(/needs a handler/);
    expect(() => listener.on("a", { kind: "big" }, handler)).toThrow(/"data" or begins with "data\."/);
    expect(() => listener.on("a", { "data.": 1, datum: 1 }, handler)).toThrow(/begins with "data\."/);
    expect(() => listener.on("a", { "data.kind": undefined as never }, handler)).toThrow(/says nothing for "data.kind"/);
    expect(() => listener.on("a", { "data.kind": 1n as never }, handler)).toThrow(/is not JSON/);
    expect(() => new Listener({ id: "l", timeout: "5 weeks" as never }).on("a", handler).prepare()).toThrow(/not a duration/);
    listener.on("a", handler).prepare();
    expect(() => listener.on("b", handler)).toThrow(/in use by a worker/);
    expect(() => createFunction({ id: "f", triggers: [], spaces: [] }, handler)).toThrow(/spaces of function "f"/);
    expect(() => createFunction({ id: "f", triggers: [{ event: "a", match: [{ path: "x", equals: 1 }] }] }, handler)).toThrow(/"data"/);
  });
});

describe("a handler's pattern and filter", () => {
  /** Whether a handler is called for the event. */
  async function isCalled(pattern: string, filter: EventFilter, members: Partial<TriggerEvent> = {}): Promise<boolean> {
    let isCalled = false;
    const job = new Job(new Listener({ id: "orders" }).on(pattern, filter, () => void (isCalled = true)), { event: event(members) });
    const { type } = await job.pass();
    expect(type).toBe(isCalled ? "complete" : "fail");
    return isCalled;
  }

  it.each([
    ["order:created", "order:created", true],
    ["order:created", "order:updated", false],
    ["order", "order:created", false],
    ["order.*", "order.created", true],
    ["order.*", "order", false],
    ["order.*", "order.created.now", false],
    ["order.*.now", "order.created.now", true],
    ["*.created", "order.created", true],
    ["*", "order", true],
    ["order.>", "order", false],
    ["order.>", "order.created.now", true],
    [">", "order", true],
    ["order.created", "order.created.now", false],
  ])("%s and the name %s: %s", async (pattern, name, expected) => {
    expect(await isCalled(pattern, {}, { name })).toBe(expected);
  });

  it.each<[EventFilter, boolean]>([
    [{ "data.kind": "big" }, true],
    [{ "data.kind": "small" }, false],
    [{ "data.kind": "big", "data.other": 1 }, false],
    [{ "data.none": null }, true],
    [{ "data.absent": null }, false],
    [{ "data.items.0.sku": "a" }, true],
    [{ "data.items.1.sku": "a" }, false],
    [{ "data.items.00.sku": "a" }, false],
    [{ "data.items.+0.sku": "a" }, false],
    [{ "data.items.length": 1 }, false],
    [{ "data.items": [{ sku: "a" }] }, true],
    [{ "data.items": { 0: { sku: "a" } } }, false],
    [{ "data.kind.length": 3 }, false],
    [{ "data.constructor.name": "Object" }, false],
    [{ "data.deep": { x: [1, { y: 2 }] } }, true],
    [{ "data.deep": { x: [1, { y: 2 }], z: 1 } }, false],
    [{ "data.deep.x": [1] }, false],
  ])("%j: %s", async (filter, expected) => {
    expect(await isCalled(">", filter)).toBe(expected);
  });

  it("compares the whole data too, and members whatever their order", async () => {
    expect(await isCalled(">", { data: "text" }, { data: "text" })).toBe(true);
    expect(await isCalled(">", { data: { a: 1, b: 2 } }, { data: { b: 2, a: 1 } })).toBe(true);
    expect(await isCalled(">", { "data.a": 1 }, { data: null })).toBe(false);
  });

  it("is not changed by what the caller does to it later", async () => {
    const wanted = { sku: "a" };
    let isCalled = false;
    const listener = new Listener({ id: "orders" }).on(">", { "data.items.0": wanted }, () => void (isCalled = true));
    wanted.sku = "b";
    await new Job(listener, { event: event() }).pass();
    expect(isCalled).toBe(true);
  });
});

describe("several handlers for one event", () => {
  /** Three handlers of which the second is not for the event. The others log their names, and fail as told. */
  function listener(log: string[], failures: Partial<Record<string, Error>> = {}): Listener {
    const handler = (name: string) => async (): Promise<string> => {
      log.push(name);
      if (failures[name]) throw failures[name];
      return name;
    };
    return new Listener({ id: "orders" })
      .on("order:created", handler("a"))
      .on("order:updated", handler("b"))
      .on(">", handler("c"))
      .on("order:created", { "data.kind": "big" }, handler("d"));
  }

  it("run one after the other, each as a step", async () => {
    const log: string[] = [];
    const job = new Job(listener(log), { event: event() });
    expect((await job.next()).outcomes).toEqual([{ id: "on/1", kind: "run", result: null }]);
    expect(log).toEqual(["a"]);
    job.ack();
    expect((await job.pass()).outcomes).toEqual([{ id: "on/3", kind: "run", result: null }]);
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [{ id: "on/4", result: null }], result: null });
    expect(log).toEqual(["a", "c", "d"]);
  });

  it("do not keep each other from the event, and only what failed runs again", async () => {
    const log: string[] = [];
    const first = new Job(listener(log, { a: new TypeError("broken"), d: new Error("too") }), { event: event() });
    expect((await first.pass()).outcomes).toEqual([{ id: "on/3", kind: "run", result: null }]);
    expect(await first.pass()).toMatchObject({ type: "fail", outcomes: [], retryable: true, error: { name: "TypeError", message: "broken" } });
    expect(first.warnings[0]).toBe('handler "on/1" of listener "orders" for "order:created" failed: TypeError: broken');
    expect(log.splice(0)).toEqual(["a", "c", "d"]);
    const second = new Job(listener(log), { event: event(), attempt: 2, steps: [{ id: "on/3", result: null }] });
    expect((await second.pass()).outcomes).toEqual([{ id: "on/1", kind: "run", result: null }]);
    expect(await second.pass()).toMatchObject({ type: "complete", outcomes: [{ id: "on/4" }] });
    expect(log).toEqual(["a", "d"]);
  });

  it("are repeated while one of them can still succeed", async () => {
    const failures = { a: new NonRetryableError("never"), d: new Error("perhaps") };
    const job = new Job(listener([], failures), { event: event() });
    await job.pass();
    expect(await job.pass()).toMatchObject({ type: "fail", retryable: true, error: { message: "perhaps" } });
    const hopeless = new Job(listener([], { a: new NonRetryableError("never") }), { event: event() });
    await hopeless.pass();
    expect(await hopeless.pass()).toMatchObject({ type: "fail", outcomes: [{ id: "on/4" }], retryable: false, error: { message: "never" } });
  });

  it("share what is looked up for the event", async () => {
    const values: string[] = [];
    const listener = new Listener({ id: "orders" });
    for (let index = 0; index < 2; index++) listener.on(">", async ({ secrets }) => values.push(await secrets("SLACK_TOKEN")));
    const job = new Job(listener, { event: event() });
    expect(await job.next()).toMatchObject({ type: "lookup" });
    job.found("1", { version: 1, value: "a value" });
    expect(await job.pass()).toMatchObject({ type: "step" });
    expect(await job.pass()).toMatchObject({ type: "complete" });
    expect(values).toEqual(["a value", "a value"]);
  });
});

describe("a function", () => {
  it("is narrowed to spaces and fields", () => {
    const fn = createFunction({ id: "f", triggers: [{ event: "a", match: [{ path: "data.kind", equals: "big" }] }, { event: "b", match: [] }], spaces: ["acme"] }, () => 1);
    expect(fn.declaration).toEqual({
      id: "f",
      triggers: [{ event: "a", match: [{ path: "data.kind", equals: "big" }] }, { event: "b" }],
      spaces: ["acme"],
      secrets: [],
    });
  });

  it("knows the space of its event, and says where a secret is missing", async () => {
    const job = new Job(({ event, secrets }) => `${event.space} ${secrets.get("MISSING")}`, { event: event() }, ["MISSING"]);
    const message = 'secret "MISSING" is not set in space "acme" of environment "default"';
    expect(await job.pass()).toMatchObject({ type: "fail", error: { message } });
  });
});
