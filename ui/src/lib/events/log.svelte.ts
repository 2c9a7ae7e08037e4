// A log on the screen: a span of rows that follows what is new while it stands at its top, and lets new
// rows wait while somebody reads further down or has frozen it.

import { after, before, empty, type Span } from "./span";

/** A part of a log as the API gives it. */
export interface Part<T> {
  rows: T[];
  next: string | null;
  previous: string | null;
}

/** Where a part begins, as the API takes it. */
export interface From {
  before?: string;
  after?: string;
  limit: number;
}

type Load<T> = (from: From) => Promise<Part<T>>;

/** Rows a page when scrolling. */
const PAGE = 200;
/** Most rows that are known to wait; beyond, the log says *1,000+*. */
const WAITING = 1000;

export class Log<T extends { id: string }> {
  span = $state.raw<Span<T>>(empty);
  /** Rows that came and are not shown yet, newest first. */
  waiting = $state.raw<readonly T[]>([]);
  /** More wait than `waiting` holds. */
  overflowing = $state(false);
  state = $state<"loading" | "ready" | "failed">("loading");
  error = $state.raw<unknown>(null);
  /** Frozen by hand. */
  frozen = $state(false);

  #load: Load<T>;
  /** The list stands at its top. */
  atTop = true;
  /** The newest row that was seen, shown or waiting. */
  #newest: string | null = null;
  #busy = false;
  #again = false;
  /** Counts restarts, so that an answer to an older question is dropped. */
  #turn = 0;

  constructor(load: Load<T>) {
    this.#load = load;
  }

  /** Loads the newest rows and forgets all others; with `keep` the old ones stay until then. */
  async restart(keep = false) {
    const turn = ++this.#turn;
    if (!keep) {
      this.span = empty;
      this.state = "loading";
    }
    try {
      const part = await this.#load({ limit: PAGE });
      if (turn !== this.#turn) return;
      this.span = { rows: part.rows, older: part.next !== null, newer: false };
      this.waiting = [];
      this.overflowing = false;
      this.#newest = part.previous ?? part.rows[0]?.id ?? null;
      this.state = "ready";
    } catch (error) {
      if (turn !== this.#turn) return;
      this.error = error;
      this.state = "failed";
    }
  }

  /** Something new has come: shows it, or lets it wait. Several at once become one question. */
  async arrived() {
    if (this.state !== "ready") return this.restart();
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    try {
      do {
        this.#again = false;
        await this.#take();
      } while (this.#again);
    } finally {
      this.#busy = false;
    }
  }

  async #take() {
    if (this.#newest === null) return this.restart(true);
    if (this.overflowing) return;
    const turn = this.#turn;
    const part = await this.#load({ after: this.#newest, limit: WAITING }).catch(() => null);
    if (!part || turn !== this.#turn || part.rows.length === 0) return;
    this.#newest = part.previous ?? part.rows[0]!.id;

    const all = [...part.rows, ...this.waiting];
    if (all.length > WAITING || part.rows.length === WAITING) {
      this.overflowing = true;
      this.waiting = all.slice(-WAITING);
    } else {
      this.waiting = all;
    }
    if (this.atTop && !this.frozen && !this.span.newer) await this.jump();
  }

  /** Shows what waits, and stands at the top. */
  async jump() {
    if (this.overflowing || this.span.newer) return this.restart(true);
    this.span = before(this.span, this.waiting, false);
    this.waiting = [];
  }

  /** The list has come to its top, or has left it. */
  async top(atTop: boolean) {
    this.atTop = atTop;
    if (atTop && !this.frozen && this.waiting.length > 0 && !this.span.newer) await this.jump();
  }

  freeze(frozen: boolean) {
    this.frozen = frozen;
    if (!frozen) void this.top(this.atTop);
  }

  /** The end of what is loaded is near. */
  async near(edge: "top" | "bottom") {
    if (this.#busy || this.state !== "ready") return;
    const last = this.span.rows.at(-1)?.id;
    const first = this.span.rows[0]?.id;
    if (edge === "bottom" && this.span.older && last) {
      await this.#extend({ before: last, limit: PAGE }, (span, part) =>
        after(span, part.rows, part.next !== null),
      );
    } else if (edge === "top" && this.span.newer && first) {
      await this.#extend({ after: first, limit: PAGE }, (span, part) =>
        before(span, part.rows, part.rows.length === PAGE),
      );
    }
  }

  async #extend(from: From, join: (span: Span<T>, part: Part<T>) => Span<T>) {
    const turn = this.#turn;
    this.#busy = true;
    try {
      const part = await this.#load(from);
      if (turn === this.#turn) this.span = join(this.span, part);
    } catch {
      // The next scroll asks again.
    } finally {
      this.#busy = false;
    }
    if (this.#again) await this.arrived();
  }
}
