// When a sync runs, as a form has it and as the API takes it.

import type { Schedule } from "$lib/api/client";

export type Mode = "every" | "daily" | "cron" | "hand";

/** A schedule as a form has it: everything that was ever typed, whatever is chosen now. */
export interface Form {
  mode: Mode;
  every: string;
  /** `06:00`. */
  time: string;
  /** Days of the week, 0 is Sunday. */
  days: number[];
  cron: string;
  zone: string;
}

export const INTERVALS = [
  { id: "1m", title: "minute" },
  { id: "5m", title: "5 minutes" },
  { id: "15m", title: "15 minutes" },
  { id: "30m", title: "30 minutes" },
  { id: "1h", title: "hour" },
  { id: "6h", title: "6 hours" },
  { id: "24h", title: "24 hours" },
] as const;

export const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const ALL = [0, 1, 2, 3, 4, 5, 6];

/** What a new form begins with. */
export function form(schedule: Schedule | null, zone: string): Form {
  const base: Form = {
    mode: "hand",
    every: "15m",
    time: "06:00",
    days: ALL,
    cron: "0 6 * * *",
    zone,
  };
  if (!schedule) return base;
  if ("every" in schedule) return { ...base, mode: "every", every: schedule.every };
  const daily = parseDaily(schedule.cron);
  return daily
    ? { ...base, ...daily, mode: "daily", cron: schedule.cron, zone: schedule.zone }
    : { ...base, mode: "cron", cron: schedule.cron, zone: schedule.zone };
}

function parseDaily(cron: string): { time: string; days: number[] } | null {
  const match = /^(\d{1,2}) (\d{1,2}) \* \* (\*|[0-7](?:,[0-7])*)$/.exec(cron.trim());
  if (!match) return null;
  const [, minute = "", hour = "", days = ""] = match;
  if (Number(minute) > 59 || Number(hour) > 23) return null;
  return {
    time: `${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`,
    days: days === "*" ? ALL : [...new Set(days.split(",").map((day) => Number(day) % 7))].sort(),
  };
}

/** What is wrong with the form, or nothing. */
export function wrong(form: Form): string | null {
  if (form.mode === "daily") {
    if (!/^([01]?\d|2[0-3]):[0-5]\d$/.test(form.time.trim()))
      return "A time of day, such as 06:00.";
    if (form.days.length === 0) return "Choose at least one day.";
  }
  if (form.mode === "cron" && form.cron.trim().split(/\s+/).length !== 5) {
    return "Five parts: minute, hour, day, month, day of the week.";
  }
  return null;
}

/** The form as the API takes it. */
export function schedule(form: Form): Schedule | null {
  switch (form.mode) {
    case "hand":
      return null;
    case "every":
      return { every: form.every };
    case "daily": {
      const [hour = "0", minute = "0"] = form.time.trim().split(":");
      const days = form.days.length === 7 ? "*" : [...form.days].sort().join(",");
      return { cron: `${Number(minute)} ${Number(hour)} * * ${days}`, zone: form.zone };
    }
    case "cron":
      return { cron: form.cron.trim().replace(/\s+/g, " "), zone: form.zone };
  }
}
