declare global {
  interface Window {
    /** There where the page runs in the desktop window. */
    __TAURI_INTERNALS__?: unknown;
  }
  namespace App {
    interface PageState {
      /** The detail that lies over the list on a narrow window. */
      over?: boolean;
    }
  }
}

export {};
