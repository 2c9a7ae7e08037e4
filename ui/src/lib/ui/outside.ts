// Addresses outside of Patchbay: in a new tab of the browser, or, from the window, in the system's
// browser. Never in the window itself.

import { api, ask, Refused, transport } from "$lib/api/client";

/** Opens `address`. Says `false` where no browser could be opened, so that the link has to be shown. */
export async function openOutside(address: string): Promise<boolean> {
  if (transport.kind === "window") {
    try {
      await ask(api.POST("/api/host/open", { body: { url: address } }));
      return true;
    } catch (error) {
      if (error instanceof Refused && error.status === 501) return false;
      throw error;
    }
  }
  const tab = window.open(address, "_blank");
  // The page out there gets no hold of this one.
  if (tab) tab.opener = null;
  return tab !== null;
}

/** Whether this is an address that may be opened at all. */
export function isWeb(address: string): boolean {
  return /^https?:\/\//i.test(address);
}
