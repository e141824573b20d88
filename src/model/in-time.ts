/** What `work` comes to; or, once it has taken `ms`, what `late` returns or throws. The work itself goes on. */
export async function inTime<T, Late>(work: Promise<T>, ms: number, late: () => Late): Promise<T | Late> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const isLate = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), ms);
  });
  try {
    return await Promise.race([work, isLate.then(late)]);
  } finally {
    clearTimeout(timer);
  }
}
