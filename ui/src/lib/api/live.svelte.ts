// Keeps the page true: listens for notices and has what they name fetched again.

import { QueryClient } from "@tanstack/svelte-query";
import { Refused, transport } from "./client";
import { shows, stale } from "./changes";
import { session } from "./session";
import type { Link, Notice } from "./transport";

/** Notices are gathered for so long before anything is fetched, in milliseconds. */
const GATHER = 250;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // The host is this computer: it answers without a network too, whatever the browser thinks
      // of being online.
      networkMode: "always",
      // By default a result tells only of what was read from it before. Pages read `a.data && b.data`:
      // where b comes first, nobody has read its data yet, and nobody would hear of it again.
      notifyOnChangeProps: "all",
      // Notices say when something is stale; time alone does not make it so.
      staleTime: Infinity,
      refetchOnWindowFocus: false,
      // What the host refused, it refuses again; only a host that is gone is worth another try.
      retry: (failures, error) => failures < 2 && !(error instanceof Refused),
    },
    mutations: { networkMode: "always", retry: false },
  },
});

type Subscriber = (notices: readonly Notice[]) => void;

class Live {
  /** Whether notices are coming. */
  link = $state<Link>("connecting");
  /** When they stopped coming, in milliseconds since 1970. */
  lostAt = $state<number | null>(null);

  #subscribers = new Set<Subscriber>();
  #gathered: Notice[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;
  #wasLive = false;

  /** Begins to listen; returns how to stop. */
  start(): () => void {
    return transport.watch({
      notice: (notice) => this.#gather(notice),
      link: (link) => this.#linked(link),
    });
  }

  /** Calls back with each batch of notices, for lists that load themselves. */
  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  #linked(link: Link) {
    this.link = link;
    if (link === "refused") return session.over();
    if (link === "lost") this.lostAt ??= Date.now();
    if (link === "live") {
      this.lostAt = null;
      // A host that was gone may have been replaced by another: it cannot resume our notices.
      if (this.#wasLive) this.#gather({ noun: "*", added: 0 });
      this.#wasLive = true;
    }
  }

  #gather(notice: Notice) {
    this.#gathered.push(notice);
    this.#timer ??= setTimeout(() => this.#pass(), GATHER);
  }

  #pass() {
    const notices = this.#gathered;
    this.#gathered = [];
    this.#timer = null;
    const nouns = stale(notices);
    void queries.invalidateQueries({ predicate: (query) => shows(nouns, query.queryKey) });
    for (const subscriber of this.#subscribers) subscriber(notices);
  }
}

export const live = new Live();
