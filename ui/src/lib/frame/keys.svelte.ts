// Keys, all but one without a modifier. They act nowhere where something can be typed, nor under a dialog, and can be
// switched off in Settings.

import { untrack } from "svelte";
import { preferences } from "./preferences.svelte";

/** One key, or two pressed one after the other: `g e`. */
export interface Binding {
  keys: string;
  does: string;
  run: () => void;
}

interface Group {
  title: string;
  bindings: readonly Binding[];
}

/** How long the second key of two is waited for, in milliseconds. */
const PATIENCE = 1200;

/** The keys as they are pressed, made into bindings. Pure, so that a test can press them. */
export function sequence(): (key: string, at: number, known: ReadonlySet<string>) => string | null {
  let first: { key: string; at: number } | null = null;
  return (key, at, known) => {
    const pair = first && at - first.at < PATIENCE ? `${first.key} ${key}` : null;
    first = null;
    if (pair && known.has(pair)) return pair;
    if (known.has(key)) return key;
    if ([...known].some((each) => each.startsWith(`${key} `))) first = { key, at };
    return null;
  };
}

/** The keys of the palette, as they are called here. */
export const PALETTE = globalThis.navigator?.userAgent.includes("Mac") ? ["⌘", "K"] : ["Ctrl", "K"];

class Keys {
  groups = $state.raw<readonly Group[]>([]);
  /** The groups as they are shown: one for each title. */
  titled = $derived.by(() => {
    const titles = [...new Set(this.groups.map((group) => group.title))];
    return titles.map((title) => ({
      title,
      bindings: this.groups
        .filter((group) => group.title === title)
        .flatMap((group) => group.bindings),
    }));
  });
  /** Whether all keys are shown. */
  shown = $state(false);
  /** Whether everything can be found by its name now. */
  palette = $state(false);
  #next = sequence();

  /** Takes in some bindings; the ones that came last win. Returns how to let go of them. */
  bind(title: string, bindings: readonly Binding[]): () => void {
    const group = { title, bindings };
    // Whoever binds in an effect does not depend on what others have bound.
    const set = (change: (groups: readonly Group[]) => readonly Group[]) =>
      untrack(() => (this.groups = change(this.groups)));
    set((groups) => [...groups, group]);
    return () => set((groups) => groups.filter((each) => each !== group));
  }

  press(event: KeyboardEvent) {
    // The one key with a modifier: it works while somebody types, too.
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.palette = !this.palette && !document.querySelector('[role="dialog"]');
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event) || document.querySelector('[role="dialog"], [role="menu"]')) return;
    if (!preferences.keys && event.key !== "Escape") return;

    const bindings = new Map(
      this.groups.flatMap((group) => group.bindings.map((binding) => [binding.keys, binding])),
    );
    // A button or a link that has the focus answers to Enter itself.
    if (event.key === "Enter" && (event.target as Element).closest("button, a")) return;
    const found = this.#next(event.key, event.timeStamp, new Set(bindings.keys()));
    if (!found) return;
    event.preventDefault();
    bindings.get(found)?.run();
  }
}

function typing(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

export const keys = new Keys();
