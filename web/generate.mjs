// Writes src/generated/: the ABIs the page calls (from build/artifacts, `make compile`) and the reasons of docs/ERRORS.md.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const artifacts = new URL("build/artifacts/", root);
const target = new URL("src/generated/", import.meta.url);

const PARTS = {
  clearinghouse: ["Clearinghouse", "Lens", "SettlementEngine", "WaterfallEngine"],
  vault: ["MarginVault"],
  settlement: ["OrderSettlement"],
  fund: ["InsuranceFund"],
  token: ["TestToken"],
};

function abiOf(name) {
  const file = readdirSync(artifacts).find((entry) => entry.startsWith(`${name}-`));
  if (!file) throw new Error(`no artifact of ${name}: run \`make compile\``);
  const { abi } = JSON.parse(readFileSync(new URL(file, artifacts), "utf8"));
  return abi.filter((entry) => entry.type === "function" || entry.type === "event");
}

function merged(names) {
  const byShape = new Map();
  for (const entry of names.flatMap(abiOf)) {
    byShape.set(`${entry.type} ${entry.name}(${entry.inputs.map((input) => input.type)})`, entry);
  }
  return [...byShape.values()];
}

function reasons() {
  const rows = readFileSync(new URL("docs/ERRORS.md", root), "utf8").matchAll(/^\| `(.+?)` \| (.+?) \| (.+?) \|$/gm);
  return Object.fromEntries([...rows].map(([, reason, when, remedy]) => [reason, { when: plain(when), remedy: plain(remedy) }]));
}

function plain(text) {
  return text.replaceAll("`", "").replace(/\((SPEC|docs)[^)]*\)/g, "").trim();
}

mkdirSync(target, { recursive: true });
const abis = Object.entries(PARTS).map(([name, parts]) => `export const ${name}Abi = ${JSON.stringify(merged(parts), null, 1)} as const;\n`);
writeFileSync(new URL("abi.ts", target), abis.join("\n"));
writeFileSync(
  new URL("reasons.ts", target),
  `export const REASONS: Readonly<Record<string, { when: string; remedy: string }>> = ${JSON.stringify(reasons(), null, 1)};\n`,
);
