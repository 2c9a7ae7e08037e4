// Going through the rows of a page with j and k, whatever they are rows of. The log has its own way, since
// most of its rows do not exist.

const ROWS = "main .rows > *, main [role='list'] > [role='listitem']";
const REACHABLE = "a[href], button:not(:disabled)";

/** Moves the focus to the next row, or the one before; to the first where none has it. */
export function walk(by: 1 | -1) {
  const rows = [...document.querySelectorAll<HTMLElement>(ROWS)].filter((row) =>
    row.querySelector(REACHABLE),
  );
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1);
  rows[next]?.querySelector<HTMLElement>(REACHABLE)?.focus();
}
