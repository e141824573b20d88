/** What workers make of a record of the input: one record of the output, which tells where it is from and what is to become of it. */

export interface Output {
  readonly inputPartition: number;
  readonly inputOffset: number;
  /** What its worker meant to do with the transaction in which it wrote this. */
  readonly fate: Fate;
}

export type Fate = "commit" | "abort";

/** The value of the last record of every partition of the output, written when everything is over. */
export const END = "end";

export function outputValue({ inputPartition, inputOffset, fate }: Output): string {
  return `${inputPartition} ${inputOffset} ${fate}`;
}

/** Neighbours of one partition of the input go to different ones of the output, so that most transactions are of several. */
export function outputPartition(inputPartition: number, inputOffset: number, partitions: number): number {
  return (inputPartition + inputOffset) % partitions;
}

export function parseOutput(value: string): Output | undefined {
  const [, inputPartition, inputOffset, fate] = /^(\d+) (\d+) (commit|abort)$/.exec(value) ?? [];
  if (fate !== "commit" && fate !== "abort") return undefined;
  return { inputPartition: Number(inputPartition), inputOffset: Number(inputOffset), fate };
}
