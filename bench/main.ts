/**
 * `npm run bench`: what Edgelog does, in figures, side by side with what it is held against.
 *
 * --only <question>   only this one (again for several)
 * --quick             a look at everything, in minutes
 * --full              takes its time: more rounds, larger logs
 * --json              the results as JSON on stdout, instead of tables
 * --write <file>      also into this Markdown file, each question in its section
 */

import { parseArgs } from "node:util";
import { writeDocument } from "./harness/document.ts";
import { machineText, thisMachine } from "./harness/machine.ts";
import { ProgressLine } from "./harness/progress.ts";
import type { Answer, Bench, Extent, Question } from "./harness/question.ts";
import { terminalTable } from "./harness/table.ts";
import { targetsTable } from "./harness/targets.ts";
import { QUESTIONS } from "./questions.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    quick: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    write: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

// What was started ends with this process; left alone, these signals would end it without a word to anyone.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

if (values.help) {
  console.log("npm run bench -- [--only <question>]… [--quick | --full] [--json] [--write <file>]\n");
  for (const { name, title } of QUESTIONS) console.log(`  ${name.padEnd(12)} ${title}`);
} else {
  process.exitCode = await run(chosen(values.only), values.full ? "full" : values.quick ? "quick" : "normal");
}

function chosen(names: readonly string[]): readonly Question[] {
  for (const name of names) {
    if (QUESTIONS.some((question) => question.name === name)) continue;
    console.error(`There is no question ${name}; there are ${QUESTIONS.map((one) => one.name).join(", ")}.`);
    process.exit(2);
  }
  return names.length === 0 ? QUESTIONS : QUESTIONS.filter(({ name }) => names.includes(name));
}

async function run(questions: readonly Question[], extent: Extent): Promise<number> {
  const machine = thisMachine();
  const line = new ProgressLine(true);
  const beganMs = performance.now();
  const answers: { question: Question; answer: Answer }[] = [];
  const failed: { question: string; error: string }[] = [];
  if (!values.json) console.log(`${machineText(machine)}\n`);
  for (const [index, question] of questions.entries()) {
    const bench: Bench = {
      extent,
      pick: (choices) => choices[extent],
      progress: (step, share) => line.show((index + share) / questions.length, `${question.name}: ${step}`),
    };
    try {
      const answer = await question.answer(bench);
      answers.push({ question, answer });
      line.clear();
      if (!values.json) print(question, answer);
    } catch (error) {
      line.clear();
      failed.push({ question: question.name, error: String(error) });
      console.error(`${question.name} could not be answered:`, error);
    }
  }
  const minutes = (performance.now() - beganMs) / 60_000;
  const targets = answers.flatMap(({ answer }) => answer.targets ?? []);
  if (values.json) {
    const results = answers.map(({ question, answer }) => ({ question: question.name, ...answer }));
    console.log(JSON.stringify({ machine, extent, minutes, results, failed }));
  } else {
    if (targets.length > 0) console.log(`${terminalTable(targetsTable(targets))}\n`);
    console.log(`${minutes.toFixed(1)} minutes`);
  }
  if (values.write !== undefined) await writeDocument(values.write, { machine, extent, minutes, answers });
  return failed.length === 0 ? 0 : 1;
}

function print({ title }: Question, { tables, notes = [] }: Answer): void {
  console.log(`── ${title} ${"─".repeat(Math.max(0, 90 - title.length))}\n`);
  for (const table of tables) console.log(`${terminalTable(table)}\n`);
  for (const note of notes) console.log(`  ${note}`);
  console.log();
}
