import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import type * as Browser from "../src/index.js";

// The built file, as a page loads it.
const source = readFileSync(new URL("../dist/index.js", import.meta.url), "utf8");
const load = () => import(`data:text/javascript;base64,${Buffer.from(`${source}\n//${Math.random()}`).toString("base64")}`) as Promise<typeof Browser>;

describe("the browser's file", () => {
  it("needs no other file and nothing of Node.js", () => {
    expect(source).not.toMatch(/^\s*import\b/m);
    expect(source).not.toMatch(/\bimport\(|\brequire\(|\bprocess\.|\bBuffer\b|node:/);
  });

  it("subscribes after it was configured", async () => {
    const { claviger } = await load();
    await expect(claviger.subscribe("x", { onEvent: () => {} })).rejects.toThrow(/claviger.configure/);
    const server = createServer((request, response) => {
      expect(request.headers.authorization).toBe("Bearer clv_key");
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      const data = { name: "system.secret.STRIPE_KEY.updated", data: { name: "STRIPE_KEY" } };
      response.write(`event: ready\nid: c0\n\nid: c1\nevent: event\ndata: ${JSON.stringify(data)}\n\n`);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    claviger.configure({ url, apiKey: "clv_key", environment: "default" });
    let take!: (event: any) => void;
    const taken = new Promise<any>((resolve) => (take = resolve));
    const subscription = await claviger.subscribe("system.secret.*.updated", { onEvent: take });
    const event = await taken;
    expect(event.data.name).toBe("STRIPE_KEY");
    subscription.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it("refuses a URL that is none", async () => {
    const { claviger } = await load();
    expect(() => claviger.configure({ apiKey: "clv_key" })).toThrow(/not of the form/);
  });
});
