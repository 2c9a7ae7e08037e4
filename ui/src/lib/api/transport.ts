// How the page reaches its host. There are two doors to one API: HTTP with a session token in a
// browser, and one command with raw bytes in the desktop window. Everything above this file is the
// same for both.

/** Something has changed: what to fetch again, never the new value. */
export interface Notice {
  /** `events`, `syncs`, … or `*` for everything. */
  noun: string;
  inbox?: string | null;
  up_to?: string | null;
  added: number;
}

/** Whether notices are coming. */
export type Link = "connecting" | "live" | "lost" | "refused";

/** Who wants to know. */
export interface Listener {
  notice(notice: Notice): void;
  /**
   * `live` is told each time notices begin to come; `lost` when they stop and are being tried
   * again; `refused` when the session is over and nothing is tried any more.
   */
  link(link: Link): void;
}

/** One door to the host. */
export interface Transport {
  readonly kind: "web" | "window";
  fetch(request: Request): Promise<Response>;
  /** Reports notices until the returned function is called. */
  watch(listener: Listener): () => void;
}
