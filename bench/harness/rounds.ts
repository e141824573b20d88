import type { Bench } from "./question.ts";

interface Named {
  readonly name: string;
}

interface Rounds<Shape extends Named, System extends Named> {
  readonly shapes: readonly Shape[];
  readonly systems: readonly System[];
  readonly rounds: number;
  /** How much of the question is answered with it. */
  readonly share: number;
}

/** What was found of a system in a shape, a figure per round. */
export type Found<Shape extends Named, Figure> = (shape: Shape, system: string) => readonly Figure[];

/** Each shape with each system, in turn: what the machine does otherwise meanwhile meets them all. */
export async function inRounds<Shape extends Named, System extends Named, Figure>(
  bench: Bench,
  { shapes, systems, rounds, share }: Rounds<Shape, System>,
  measure: (system: System, shape: Shape) => Promise<Figure>,
): Promise<Found<Shape, Figure>> {
  const found = new Map<string, Figure[]>();
  const key = (shape: string, system: string) => `${shape}|${system}`;
  const steps = rounds * shapes.length * systems.length;
  let step = 0;
  for (const shape of shapes) {
    for (let round = 0; round < rounds; round++) {
      for (const system of systems) {
        bench.progress(`${shape.name}: ${system.name}`, (share * step++) / steps);
        const place = key(shape.name, system.name);
        found.set(place, [...(found.get(place) ?? []), await measure(system, shape)]);
      }
    }
  }
  return (shape, system) => found.get(key(shape.name, system)) ?? [];
}
