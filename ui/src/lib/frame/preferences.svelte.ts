// How this browser or window likes to see things. Kept beside the page rather than with the data: two
// screens may differ.

export type Theme = "system" | "light" | "dark";
export type Density = "comfortable" | "compact";

function kept<T extends string>(key: string, otherwise: T): T {
  return (localStorage.getItem(key) as T | null) ?? otherwise;
}

class Preferences {
  #theme = $state<Theme>(kept("theme", "system"));
  #density = $state<Density>(kept("density", "comfortable"));
  #keys = $state(kept<"on" | "off">("keys", "on") === "on");
  #sizes = $state(kept<"on" | "off">("sizes", "off") === "on");

  get theme() {
    return this.#theme;
  }
  set theme(theme) {
    this.#theme = theme;
    localStorage.setItem("theme", theme);
    document.documentElement.dataset.theme = theme;
  }

  get density() {
    return this.#density;
  }
  set density(density) {
    this.#density = density;
    localStorage.setItem("density", density);
    document.documentElement.dataset.density = density;
  }

  /** Height of a row of a log, in pixels. */
  get row() {
    return this.#density === "compact" ? 24 : 32;
  }

  /** Whether single keys do something. */
  get keys() {
    return this.#keys;
  }
  set keys(on) {
    this.#keys = on;
    localStorage.setItem("keys", on ? "on" : "off");
  }

  /** Whether the log has a column with sizes. */
  get sizes() {
    return this.#sizes;
  }
  set sizes(on) {
    this.#sizes = on;
    localStorage.setItem("sizes", on ? "on" : "off");
  }
}

export const preferences = new Preferences();
