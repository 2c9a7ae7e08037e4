// Up to when the refusals were looked at here: only what came since is counted in red.

const KEY = "refusals-seen";
class Seen {
  #at = $state(localStorage.getItem(KEY));

  get at() {
    return this.#at;
  }

  /** Somebody looks at them now. */
  now() {
    this.#at = new Date().toISOString();
    localStorage.setItem(KEY, this.#at);
  }
}

export const seen = new Seen();
