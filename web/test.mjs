// Bundles the unit tests (TypeScript) for node's own test runner, and runs them.

import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const outdir = here("../build/web/unit");
const entryPoints = readdirSync(here("test")).map((name) => here(`test/${name}`));

await build({ entryPoints, outdir, bundle: true, platform: "node", format: "esm", outExtension: { ".js": ".mjs" }, logLevel: "error" });
const files = readdirSync(outdir).filter((name) => name.endsWith(".test.mjs")).map((name) => `${outdir}/${name}`);
process.exit(spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit" }).status ?? 1);
