// Which row of a log is chosen, as it stands in the address, and the keys that move it.

import { goto } from "$app/navigation";
import { page } from "$app/state";
import { keys } from "$lib/frame/keys.svelte";
import { change } from "./filter";
import type { Log } from "./log.svelte";
import { beside } from "./span";

interface Rows {
  reveal(id: string): void;
}

const element = (id: string) =>
  document.querySelector<HTMLElement>(`[data-row="${CSS.escape(id)}"]`);

export class Selection<T extends { id: string }> {
  #param: string;
  #log: Log<T>;
  #rows: () => Rows | undefined;

  /** The id of the chosen row, or nothing. */
  id = $derived.by(() => page.url.searchParams.get(this.#param));

  /** The one row that the tab key reaches. */
  reachable = $derived.by(() => {
    const rows = this.#log.span.rows;
    return rows.some((row) => row.id === this.id) ? this.id : (rows[0]?.id ?? null);
  });

  /** `param` is the selection's name in the address; `rows` brings a row of the log into sight. */
  constructor(param: string, log: Log<T>, rows: () => Rows | undefined) {
    this.#param = param;
    this.#log = log;
    this.#rows = rows;
  }

  /** Changes the address, which everything here follows. */
  set(changes: Record<string, string | null>, replaceState = false) {
    const query = change(page.url.searchParams, changes).toString();
    void goto(query ? `?${query}` : page.url.pathname, {
      keepFocus: true,
      noScroll: true,
      replaceState,
    });
  }

  /** Chooses a row; going through them one by one leaves no trail in the history. */
  select(id: string | null) {
    const moving = id !== null && this.id !== null;
    this.set({ [this.#param]: id, ...(id ? {} : { part: null }) }, moving);
    if (id) this.#rows()?.reveal(id);
  }

  step(by: 1 | -1) {
    const next = beside(this.#log.span.rows, this.id, by);
    if (!next) return;
    const inList = document.activeElement?.hasAttribute("data-row");
    this.select(next.id);
    if (inList) element(next.id)?.focus({ preventScroll: true });
  }

  /** Closes the detail; the focus goes back to the row it came from. */
  close() {
    const before = this.id;
    this.select(null);
    if (before) element(before)?.focus({ preventScroll: true });
  }

  /** Binds the keys that move through rows; returns how to let go of them. */
  bind(title: string): () => void {
    return keys.bind(title, [
      { keys: "j", does: "Next row", run: () => this.step(1) },
      { keys: "k", does: "Previous row", run: () => this.step(-1) },
      { keys: "Enter", does: "Open the first row", run: () => this.id ?? this.step(1) },
      { keys: "Escape", does: "Close the detail", run: () => this.id && this.close() },
      {
        keys: "p",
        does: "Freeze the list",
        run: () => this.#log.freeze(!this.#log.frozen),
      },
    ]);
  }
}
