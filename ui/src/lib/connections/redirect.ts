// Where a browser comes back after a sign-in, and why it cannot.

import type { Tunnel, Way } from "$lib/api/client";

/** The address to give to the other side, with what it is; or why there is none here. */
export type WayBack = { address: string; help: string } | { refused: string };

/** What this machine has for a browser to come back to. */
export interface Here {
  /** Whether this is the desktop app, which takes addresses of its own kind. */
  window: boolean;
  tunnels: readonly Pick<Tunnel, "public_url" | "address_changes" | "kind_title">[];
}

/** The first of the ways back that works here; nothing where the browser does not come back. */
export function wayBack(
  redirects: Way["redirects"],
  name: string,
  here: Here,
): WayBack | undefined {
  const tried = redirects.map((redirect) => one(redirect, name, here));
  return tried.find((each) => "address" in each) ?? tried[0];
}

function one({ kind, url }: Way["redirects"][number], name: string, here: Here): WayBack {
  switch (kind) {
    case "loopback":
      return url.includes(":PORT")
        ? {
            address: url.replace(":PORT", ""),
            help: `After you have allowed it, ${name} sends your browser back to this computer, to whichever port is free then. Enter it without a port.`,
          }
        : {
            address: url,
            help: `After you have allowed it, ${name} sends your browser back to this address, which is this computer. Enter it exactly so.`,
          };
    case "custom":
      return here.window
        ? {
            address: url,
            help: `After you have allowed it, ${name} sends your browser to this address, which opens Patchbay. Enter it exactly so.`,
          }
        : { refused: `${name} sends the browser back to the app alone, and this is a web page.` };
    case "https":
      return overTunnel(url, name, here.tunnels);
  }
}

function overTunnel(url: string, name: string, tunnels: Here["tunnels"]): WayBack {
  const https = tunnels.filter((each) => each.public_url?.startsWith("https://"));
  const lasting = https.find((each) => !each.address_changes)?.public_url;
  if (lasting) {
    return {
      address: url.replace("https://HOST", lasting.replace(/\/$/, "")),
      help: `After you have allowed it, ${name} sends your browser to this address of your tunnel, which leads here. Enter it exactly so, and keep the tunnel on until you are signed in.`,
    };
  }
  const insists = `${name} sends the browser back to an https address that stays the same.`;
  const changing = https[0];
  return {
    refused: changing
      ? `${insists} That of ${changing.kind_title} is another after each start, and what you entered over there would lead nowhere.`
      : `${insists} This computer has none yet.`,
  };
}
