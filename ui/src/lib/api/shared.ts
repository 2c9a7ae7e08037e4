// One stream of notices for all tabs. A browser opens six connections to one host at most, and a stream
// holds one for as long as it lives: with a stream in each, the sixth tab would never load. So one tab
// reads, and tells the others what it hears; when it goes, another reads on from where it was.

import type { Link, Listener, Notice } from "./transport";

/** Reads the stream after the notice `from`, until the returned function is called. */
export type Open = (from: string, reader: Reader) => () => void;

/** Who hears what a stream says. */
export interface Reader {
  /** A notice, with its id in the stream. */
  notice(notice: Notice, id: string): void;
  link(link: Link): void;
}

/** What tabs say to each other. */
type Word =
  | { word: "notice"; notice: Notice; id: string }
  | { word: "link"; link: Link }
  /** A new tab asks how the link is. */
  | { word: "how" };

/** What the tabs of one browser share, so that a test can give its own. */
export interface Tabs {
  /**
   * Calls `work` as soon as no other tab is at it, until the promise is fulfilled. `gone` takes the wish
   * back.
   */
  alone(gone: AbortSignal, work: () => Promise<void>): void;
  /** Hears what the other tabs say. */
  hear(said: (word: unknown) => void): { say(word: unknown): void; close(): void };
}

/** Watches together with the other tabs. */
export function shared(open: Open, tabs: Tabs, listener: Listener): () => void {
  const gone = new AbortController();
  let reads = false;
  let last = "";
  let link: Link = "connecting";

  const linked = (next: Link) => {
    link = next;
    listener.link(next);
  };
  const noticed = (notice: Notice, id: string) => {
    last = id || last;
    listener.notice(notice);
  };

  const others = tabs.hear((said) => {
    const word = said as Word;
    if (word.word === "how") {
      if (reads) others.say({ word: "link", link } satisfies Word);
    } else if (reads) {
      // Two never read at once; the last words of the one before may still be on their way.
    } else if (word.word === "notice") {
      noticed(word.notice, word.id);
    } else if (word.link !== link) {
      linked(word.link);
    }
  });

  const read = () =>
    new Promise<void>((done) => {
      reads = true;
      const stop = open(last, {
        notice(notice, id) {
          noticed(notice, id);
          others.say({ word: "notice", notice, id } satisfies Word);
        },
        link(next) {
          // Each tab has a session of its own: that of another may still be good.
          if (next === "refused") {
            reads = false;
            done();
          } else {
            others.say({ word: "link", link: next } satisfies Word);
          }
          linked(next);
        },
      });
      gone.signal.addEventListener("abort", () => {
        stop();
        done();
      });
    });

  listener.link(link);
  others.say({ word: "how" } satisfies Word);
  tabs.alone(gone.signal, read);
  return () => {
    gone.abort();
    others.close();
  };
}

/** The tabs of this browser: a lock says which one reads, and a channel carries what it hears. */
export function tabsOf(name: string): Tabs {
  return {
    alone(gone, work) {
      // Without locks each reads for itself.
      if (!("locks" in navigator)) return void work();
      navigator.locks.request(name, { signal: gone }, work).catch((error: unknown) => {
        if (!gone.aborted) throw error;
      });
    },
    hear(said) {
      const channel = new BroadcastChannel(name);
      channel.onmessage = (event) => said(event.data);
      return { say: (word) => channel.postMessage(word), close: () => channel.close() };
    },
  };
}
