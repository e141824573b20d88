/** One line on stderr that says what is being done; where nobody looks, one line per step. */
export class ProgressLine {
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #isWanted: boolean;
  readonly #beganMs = performance.now();
  #last = "";

  constructor(isWanted: boolean) {
    this.#isWanted = isWanted;
  }

  show(share: number, text: string): void {
    if (!this.#isWanted || text === this.#last) return;
    this.#last = text;
    const seconds = (performance.now() - this.#beganMs) / 1_000;
    const minutes = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
    const line = `${minutes} ${String(Math.floor(share * 100)).padStart(3)} % ${text}`;
    process.stderr.write(
      this.#isTerminal ? `\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}` : `${line}\n`,
    );
  }

  clear(): void {
    if (this.#isWanted && this.#isTerminal) process.stderr.write("\r\x1b[K");
  }
}
