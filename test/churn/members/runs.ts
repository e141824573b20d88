export interface Received {
  readonly partition: number;
  readonly offset: number;
  readonly value: string;
  readonly ownership: number;
}

export interface Run {
  readonly partition: number;
  readonly first: number;
  readonly ownership: number;
  readonly values: string[];
}

/** The records in their order, cut wherever the next is not the one after the last of its partition. */
export function* runsOf(records: Iterable<Received>): Generator<Run> {
  let run: Run | undefined;
  for (const { partition, offset, value, ownership } of records) {
    const follows =
      run?.partition === partition && run.ownership === ownership && run.first + run.values.length === offset;
    if (run !== undefined && follows) {
      run.values.push(value);
      continue;
    }
    if (run !== undefined) yield run;
    run = { partition, first: offset, ownership, values: [value] };
  }
  if (run !== undefined) yield run;
}
