// Sums for a stacked plot.

/** Each list becomes the sum of itself and those before it. */
export function stack(parts: readonly (readonly number[])[]): number[][] {
  const sums: number[][] = [];
  for (const part of parts) {
    const below = sums.at(-1);
    sums.push(part.map((value, at) => value + (below?.[at] ?? 0)));
  }
  return sums;
}

/** The largest `keep` parts by their sum, and all others as one named `others`. */
export function largest<P extends { title: string; values: readonly number[] }>(
  parts: readonly P[],
  keep: number,
): { title: string; values: readonly number[] }[] {
  const sum = (part: P) => part.values.reduce((total, value) => total + value, 0);
  const ordered = [...parts].sort((a, b) => sum(b) - sum(a));
  if (ordered.length <= keep + 1) return ordered;
  const rest = ordered.slice(keep);
  const values = rest[0]!.values.map((_, at) =>
    rest.reduce((total, part) => total + (part.values[at] ?? 0), 0),
  );
  return [...ordered.slice(0, keep), { title: `${rest.length} others`, values }];
}
