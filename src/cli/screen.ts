/** What is drawn again and again in one place, as on a terminal that someone looks at. */

export interface Terminal {
  readonly rows?: number;
  readonly columns?: number;
}

const ROWS_DEFAULT = 24;
const COLUMNS_DEFAULT = 80;

export class Screen {
  readonly #terminal: Terminal;
  #drawn = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Lines that fit, the last row left for the cursor. */
  get room(): number {
    return Math.max(1, (this.#terminal.rows ?? ROWS_DEFAULT) - 1);
  }

  /** What to write, so that these lines take the place of those before. A line that is too long is cut off. */
  draw(lines: readonly string[]): string {
    const width = Math.max(1, (this.#terminal.columns ?? COLUMNS_DEFAULT) - 1);
    const shown = lines.slice(0, this.room).map((line) => [...line].slice(0, width).join(""));
    const back = this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A`;
    this.#drawn = shown.length;
    return `${back}\r\x1b[J${shown.map((line) => `${line}\n`).join("")}`;
  }
}
