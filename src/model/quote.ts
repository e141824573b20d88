/** Outside text as it may stand in an error message: short, and visibly text. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
