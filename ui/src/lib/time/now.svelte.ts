// The page's clock and its one time zone.

class Now {
  /** The moment that relative times are read at; moves on once a second while anybody looks. */
  at = $state(new Date());
  /** The zone of every time on the screen; `undefined` is the computer's own. */
  zone = $state<string | undefined>(undefined);

  /** Lets the clock run; returns how to stop it. */
  start(): () => void {
    const timer = setInterval(() => {
      if (!document.hidden) this.at = new Date();
    }, 1000);
    return () => clearInterval(timer);
  }
}

export const now = new Now();
