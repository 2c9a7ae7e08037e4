// The session of the web pages: a token in this tab, gone with it. The window needs none.

const KEY = "session";
type Listener = () => void;
const listeners = new Set<Listener>();

export const session = {
  token(): string | null {
    return sessionStorage.getItem(KEY);
  },

  begin(token: string) {
    sessionStorage.setItem(KEY, token);
    for (const listener of listeners) listener();
  },

  /** Forgets the token, which the host no longer knows. */
  over() {
    sessionStorage.removeItem(KEY);
    for (const listener of listeners) listener();
  },

  /** Calls back whenever a session begins or is over. */
  watch(listener: Listener): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

/** The login code in an address like `…/#login=CODE`. */
export function loginCode(hash: string): string | null {
  return new URLSearchParams(hash.replace(/^#/, "")).get("login");
}
