import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { edgelog } from "./edgelog.ts";

describe("edgelog", () => {
  test("--help and --version are data: stdout, exit code 0", async () => {
    const help = await edgelog(["--help"]);
    expect(help).toMatchObject({ exitCode: 0, stderr: "" });
    for (const command of ["serve", "topic", "produce", "consume", "group", "tunnel", "completion"])
      expect(help.stdout).toContain(command);
    expect(await edgelog(["--version"])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });

  test.each([
    [[]],
    [["nonsense"]],
    [["--nonsense"]],
    [["topic"]],
    [["consume"]],
    [["topic", "list", "extra"]],
  ])("wrong usage is exit code 2, said on stderr: %j", async (args) => {
    const result = await edgelog(args);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).not.toBe("");
  });

  test("an option before the command is told its place", async () => {
    const result = await edgelog(["--url", "http://127.0.0.1:8787", "topic", "list"]);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toContain("Options follow the command");
  });

  test.each(["http//nohost", "ftp://example.com", "localhost"])(
    "the url %s is refused with what it should be",
    async (url) => {
      const result = await edgelog(["topic", "list", "--url", url]);
      expect(result).toMatchObject({ exitCode: 2, stdout: "" });
      expect(result.stderr).toContain("http://127.0.0.1:8787");
    },
  );

  test.each(["bash", "zsh", "fish"])(
    "completion %s prints a script that the shell can read",
    async (shell) => {
      const { exitCode, stdout } = await edgelog(["completion", shell]);
      expect(exitCode).toBe(0);
      expect(stdout).toContain("edgelog complete --");
      const read = spawnSync(shell, ["-n"], { input: stdout, encoding: "utf8" });
      if (read.error === undefined) expect(read).toMatchObject({ status: 0, stderr: "" });
    },
  );

  test("completion knows the commands, the options and the names of configs", async () => {
    const suggested = async (...words: string[]): Promise<string[]> => {
      const { stdout } = await edgelog(["complete", "--", ...words]);
      return stdout.split("\n").map((line) => line.split("\t")[0] ?? "");
    };
    expect(await suggested("topic", "cre")).toContain("create");
    expect(await suggested("topic", "create", "--part")).toContain("--partitions");
    expect(await suggested("topic", "create", "x", "--config", "retention.m")).toContain("retention.ms=");
    expect(await suggested("consume", "x", "--offset", "beg")).toContain("beginning");
    expect(await suggested("group", "reset-offsets", "x", "--by-duration", "PT1")).toContain("PT1H");
    expect(await suggested("tunnel", "--li")).toContain("--listen");
  });

  test("bin/edgelog.js is the same command", () => {
    const bin = fileURLToPath(new URL("../../bin/edgelog.js", import.meta.url).href);
    const run = spawnSync(process.execPath, [bin, "nonsense"], { encoding: "utf8" });
    expect(run).toMatchObject({ status: 2, stdout: "" });
    expect(run.stderr).toContain("nonsense");
  });
});
