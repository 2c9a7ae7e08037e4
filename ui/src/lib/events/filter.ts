// What of the log is shown, as it stands in the address.

export const TIMES = [
  { id: "", title: "Any time" },
  { id: "15m", title: "Last 15 minutes" },
  { id: "1h", title: "Last hour" },
  { id: "24h", title: "Last 24 hours" },
  { id: "7d", title: "Last 7 days" },
] as const;

export type TimeId = (typeof TIMES)[number]["id"];

const LENGTHS: Record<Exclude<TimeId, "">, number> = {
  "15m": 15 * 60_000,
  "1h": 3_600_000,
  "24h": 24 * 3_600_000,
  "7d": 7 * 24 * 3_600_000,
};

export interface Filter {
  inbox: string;
  type: string;
  q: string;
  time: TimeId;
}

/** The filter in an address. */
export function read(params: URLSearchParams): Filter {
  const time = params.get("time") ?? "";
  return {
    inbox: params.get("inbox") ?? "",
    type: params.get("type") ?? "",
    q: params.get("q") ?? "",
    time: TIMES.find((each) => each.id === time)?.id ?? "",
  };
}

/** `params` with some of them changed; an empty one is left out. */
export function change(
  params: URLSearchParams,
  changes: Record<string, string | null>,
): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  return next;
}

/** The filter as the API takes it, at `now`. */
export function query(filter: Filter, now: Date) {
  return {
    ...(filter.inbox ? { inbox: filter.inbox } : {}),
    ...(filter.type ? { type: filter.type } : {}),
    ...(filter.q ? { q: filter.q } : {}),
    ...(filter.time ? { since: new Date(now.getTime() - LENGTHS[filter.time]).toISOString() } : {}),
  };
}

/** Whether anything is left out. */
export function filtered(filter: Filter): boolean {
  return filter.inbox !== "" || filter.type !== "" || filter.q !== "" || filter.time !== "";
}
