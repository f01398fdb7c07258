import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // Tests run on the sources, so that one instance of each class exists, whichever package a test reaches it through.
  resolve: { alias: { "@claviger/core": fileURLToPath(new URL("core/src/index.ts", import.meta.url)) } },
  test: { include: ["*/test/**/*.test.ts"], restoreMocks: true, testTimeout: 20_000 },
});
