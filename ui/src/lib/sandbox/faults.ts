// The faults of the sandbox shop, as switches and sliders show them.

import type { Faults } from "$lib/api/client";
import { duration } from "$lib/time/words";

export interface Fault {
  name: keyof Faults;
  title: string;
  text: string;
  /** A share of 0 to 1, or a time in milliseconds. */
  unit: "share" | "ms";
  /** The largest value that the slider has. */
  most: number;
  step: number;
}

export const FAULTS: readonly Fault[] = [
  {
    name: "drop",
    title: "Drop webhooks",
    text: "The shop forgets to send them.",
    unit: "share",
    most: 1,
    step: 0.05,
  },
  {
    name: "duplicate",
    title: "Send twice",
    text: "The same webhook comes again.",
    unit: "share",
    most: 1,
    step: 0.05,
  },
  {
    name: "reorder",
    title: "Send out of order",
    text: "Later ones overtake earlier ones.",
    unit: "share",
    most: 1,
    step: 0.05,
  },
  {
    name: "delay_ms",
    title: "Send late",
    text: "Webhooks wait before they leave.",
    unit: "ms",
    most: 60_000,
    step: 1000,
  },
  {
    name: "answer_429",
    title: "Answer 429",
    text: "The API says: too many requests.",
    unit: "share",
    most: 1,
    step: 0.05,
  },
  {
    name: "answer_500",
    title: "Answer 500",
    text: "The API fails.",
    unit: "share",
    most: 1,
    step: 0.05,
  },
  {
    name: "slow_ms",
    title: "Be slow",
    text: "Each answer of the API takes longer.",
    unit: "ms",
    most: 10_000,
    step: 250,
  },
];

/** `20 %`, `3 s`, `off`. */
export function shown(fault: Pick<Fault, "unit">, value: number): string {
  if (value === 0) return "off";
  return fault.unit === "share" ? `${Math.round(value * 100)} %` : duration(value);
}

/** All of them off. */
export const WELL: Faults = {
  drop: 0,
  duplicate: 0,
  reorder: 0,
  delay_ms: 0,
  answer_429: 0,
  answer_500: 0,
  slow_ms: 0,
};
