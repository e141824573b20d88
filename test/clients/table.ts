export interface Row {
  readonly client: string;
  readonly route: string;
  readonly what: string;
  readonly records: string;
  /** The beginning of it. */
  readonly sha256: string;
  readonly seconds: string;
  readonly result: string;
}

const TITLES: Row = {
  client: "client",
  route: "route",
  what: "what",
  records: "records",
  sha256: "sha-256",
  seconds: "s",
  result: "result",
};
const COLUMNS = ["client", "route", "what", "records", "sha256", "seconds", "result"] as const;
const WIDTHS = { client: 30, route: 6, what: 58, records: 7, sha256: 12, seconds: 5, result: 0 };

/** As a line of the table; without a row its titles. */
export function tableLine(row: Row = TITLES): string {
  return COLUMNS.map((column) => row[column].padEnd(WIDTHS[column]))
    .join("  ")
    .trimEnd();
}
