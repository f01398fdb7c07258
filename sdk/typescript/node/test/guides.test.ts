import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const guides = new URL("../../../../docs/guides/", import.meta.url);

/** What the programs of the guides are given: what a reader brings along. */
const given = `
declare function tell(token: string, text: string): Promise<void>;
`;

/** The programs in TypeScript that a page shows. */
function programs(page: string): string[] {
  const text = readFileSync(new URL(page, guides), "utf8");
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, program]) => program as string);
}

/** What the compiler says of a program that stands in this directory, under the rules of the tests. */
function problems(program: string): string[] {
  const path = fileURLToPath(new URL("program-of-a-guide.ts", import.meta.url));
  const config = fileURLToPath(new URL("../../tsconfig.test.json", import.meta.url));
  const { options } = ts.getParsedCommandLineOfConfigFile(config, {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => {} }) ?? { options: {} };
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (file) => file === path || fileExists.call(host, file);
  host.getSourceFile = (file, ...rest) =>
    file === path ? ts.createSourceFile(file, program + given, ts.ScriptTarget.ES2022) : getSourceFile.call(host, file, ...rest);
  const compiled = ts.createProgram([path], options, host);
  return ts.getPreEmitDiagnostics(compiled).map((problem) => ts.flattenDiagnosticMessageText(problem.messageText, "\n"));
}

describe("the guides", () => {
  const shown = readdirSync(guides).filter((page) => page.endsWith(".md")).flatMap((page) => programs(page).map((program) => ({ page, program })));

  it("have programs", () => {
    expect(shown.map(({ page }) => page)).toContain("listeners.md");
  });

  it.each(shown)("have programs that compile: $page", ({ program }) => {
    expect(problems(program)).toEqual([]);
  });

  it("would not have others", () => {
    expect(problems('import { claviger } from "@claviger/node";\nclaviger.listen({});\n')).toEqual([expect.stringContaining("listen")]);
  });
});
