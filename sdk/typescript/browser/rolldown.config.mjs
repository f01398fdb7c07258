// One self-contained module, so that a page can load `dist/index.js` from any static server without an import map.
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export default {
  input: here("src/index.ts"),
  platform: "browser",
  tsconfig: here("tsconfig.json"),
  output: { file: here("dist/index.js"), format: "esm" },
};
