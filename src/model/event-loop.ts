/**
 * Resolves when the event loop has looked for what came from outside. workerd's does so only when nothing in it is left
 * to do: whoever finds its input waiting every time, or works on without end inside the process, keeps all others out
 * unless it stands back now and then.
 */
export function letOthersIn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
