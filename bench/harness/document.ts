/** The results as a Markdown page: a section per question, each replaced when its question is answered again. */

import { readFile, writeFile } from "node:fs/promises";
import { type Machine, machineText } from "./machine.ts";
import type { Answer, Extent, Question } from "./question.ts";
import { markdownTable } from "./table.ts";
import { targetsTable } from "./targets.ts";

export interface Results {
  readonly machine: Machine;
  readonly extent: Extent;
  readonly minutes: number;
  readonly answers: readonly { readonly question: Question; readonly answer: Answer }[];
}

const PREAMBLE = `# Benchmarks

Written by \`npm run bench -- --write docs/benchmarks.md\`; do not edit. Each section says where and when it was measured. Ratios and counts carry over to other machines, absolute figures do not. How each question is measured stands at the top of its file in [bench/](../bench).`;

export async function writeDocument(path: string, results: Results): Promise<void> {
  const before = await readFile(path, "utf8").catch(() => "");
  const sections = sectionsOf(before);
  const when = new Date().toISOString().slice(0, 10);
  const where = `Measured on ${when} (extent: ${results.extent}) on ${machineText(results.machine)}.`;
  for (const { question, answer } of results.answers) {
    sections.set(question.name, sectionOf(question, answer, where));
  }
  const body = [...sections].map(([name, text]) => `${marker(name)}\n${text}`);
  await writeFile(path, `${[PREAMBLE, ...targetsIn(sections), ...body].join("\n\n")}\n`);
}

/** The targets of all sections once more, together. */
function targetsIn(sections: ReadonlyMap<string, string>): string[] {
  const rows = [...sections.values()].flatMap(
    (section) => /^\*\*Targets\*\*\n\n.*\n.*\n((?:\|.*\n?)+)/m.exec(section)?.[1]?.trim().split("\n") ?? [],
  );
  const head = ["| target | wanted | measured | reached | note |", "| --- | --- | --- | --- | --- |"];
  return rows.length === 0 ? [] : ["## Targets", [...head, ...rows].join("\n")];
}

function sectionOf({ title }: Question, { tables, notes = [], targets = [] }: Answer, where: string): string {
  const parts = [`## ${title}`, where, ...tables.map(markdownTable)];
  if (targets.length > 0) parts.push(markdownTable(targetsTable(targets)));
  if (notes.length > 0) parts.push(notes.map((note) => `- ${note}`).join("\n"));
  return parts.join("\n\n");
}

function sectionsOf(document: string): Map<string, string> {
  const sections = new Map<string, string>();
  const [, ...pieces] = document.split(/^<!-- question: /m);
  for (const piece of pieces) {
    const end = piece.indexOf(" -->\n");
    sections.set(piece.slice(0, end), piece.slice(end + " -->\n".length).trim());
  }
  return sections;
}

function marker(name: string): string {
  return `<!-- question: ${name} -->`;
}
