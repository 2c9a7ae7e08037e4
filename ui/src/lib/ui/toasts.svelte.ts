// Short words about what the user just did. Nothing else is a toast: what the app found out on its
// own has its place on the page.

import { Refused } from "$lib/api/client";
import { sentence } from "./sentence";

export interface Toast {
  id: number;
  text: string;
  hint?: string | undefined;
  bad: boolean;
}

/** How long a toast stays, in milliseconds; longer for those that say what went wrong. */
const STAYS = { good: 3500, bad: 9000 };

let next = 0;
export const toasts = $state<Toast[]>([]);

export function dismiss(id: number) {
  const at = toasts.findIndex((toast) => toast.id === id);
  if (at >= 0) toasts.splice(at, 1);
}

function show(toast: Omit<Toast, "id">) {
  const id = next++;
  toasts.push({ id, ...toast });
  if (toasts.length > 3) toasts.shift();
  setTimeout(() => dismiss(id), toast.bad ? STAYS.bad : STAYS.good);
}

/** Says that something worked. */
export function done(text: string) {
  show({ text, bad: false });
}

/** Says that something was done, and what is left to do by hand. */
export function tell(text: string, hint: string) {
  show({ text, hint, bad: true });
}

/** Says what the host, or the way to it, answered instead. */
export function said(error: unknown) {
  const { text, hint } = explain(error);
  show({ text, hint, bad: true });
}

/** What happened and what to do, as sentences. */
export function explain(error: unknown): { text: string; hint?: string | undefined } {
  if (error instanceof Refused) return { text: sentence(error.message), hint: error.hint };
  if (error instanceof TypeError) {
    return { text: "Patchbay does not answer.", hint: "See whether it is still running." };
  }
  return { text: sentence(error instanceof Error ? error.message : String(error)) };
}
