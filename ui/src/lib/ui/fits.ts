// Finding what somebody types in a list.

/** How well an item fits: every word that was typed is somewhere in it, or it does not fit at all. */
export function fits(value: string, typed: string, keywords?: string[]): number {
  const title = keywords?.[0] ?? value;
  const text = `${value} ${keywords?.join(" ") ?? ""}`.toLowerCase();
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.every((word) => text.includes(word))) return 0;
  return title.toLowerCase().startsWith(words[0] ?? "") ? 1 : 0.5;
}
