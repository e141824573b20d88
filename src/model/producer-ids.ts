/** Ids that nobody else is given. */
interface Block {
  readonly first: number;
  readonly count: number;
}

/** Hands out the ids of the blocks that it is given; what is left of a block when it is forgotten is never used. */
export class ProducerIds {
  #next = 0;
  #end = 0;

  async allocate(nextBlock: () => Promise<Block>): Promise<number> {
    if (this.#next < this.#end) return this.#next++;
    const { first, count } = await nextBlock();
    // Several callers may have asked at once: each takes from its own block, and the rest of the latest is kept.
    this.#next = first + 1;
    this.#end = first + count;
    return first;
  }
}
