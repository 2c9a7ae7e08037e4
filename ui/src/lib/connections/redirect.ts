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

/** Why keys that the other side hands over would not get here; nothing where they do. */
export function noWayIn(name: string, tunnels: Here["tunnels"]): string | undefined {
  const { address, none, changing } = lasting(tunnels);
  if (address) return undefined;
  return `${name} sends its keys to a public https address that stays the same. ${
    changing
      ? `That of ${changing} is another after each start, and keys that are sent to an old one may reach somebody else.`
      : none
  }`;
}

/** Why nobody can be signed in by a way from here; nothing where somebody can. */
export function impossible(
  way: Pick<Way, "sign_in" | "redirects">,
  name: string,
  here: Here,
): string | undefined {
  if (way.sign_in === "hand_over") return noWayIn(name, here.tunnels);
  const back = wayBack(way.redirects, name, here);
  return back && "refused" in back ? back.refused : undefined;
}

/** The first of the ways back that works here; nothing where the browser does not come back. */
export function wayBack(
  redirects: Way["redirects"],
  name: string,
  here: Here,
): WayBack | undefined {
  // Where the system opens no addresses of ours, they are the last resort.
  const byHand = (redirect: Way["redirects"][number]) => redirect.kind === "custom" && !here.window;
  const ordered = [...redirects].sort((one, other) => Number(byHand(one)) - Number(byHand(other)));
  const tried = ordered.map((redirect) => one(redirect, name, here));
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
        : {
            address: url,
            help: `After you have allowed it, ${name} sends your browser to this address, which only the Patchbay app opens by itself. Elsewhere, hand it over with \`patchbay open\`. Enter it exactly so.`,
          };
    case "https":
      return overTunnel(url, name, here.tunnels);
  }
}

function overTunnel(url: string, name: string, tunnels: Here["tunnels"]): WayBack {
  const { address, none, changing } = lasting(tunnels);
  if (address) {
    return {
      address: url.replace("https://HOST", address.replace(/\/$/, "")),
      help: `After you have allowed it, ${name} sends your browser to this address of your tunnel, which leads here. Enter it exactly so, and keep the tunnel on until you are signed in.`,
    };
  }
  return {
    refused: `${name} sends the browser back to an https address that stays the same. ${
      changing
        ? `That of ${changing} is another after each start, and what you entered over there would lead nowhere.`
        : none
    }`,
  };
}

/** The address of a tunnel that is the same after each start; or what changes, or that there is none. */
function lasting(tunnels: Here["tunnels"]): { address?: string; none?: string; changing?: string } {
  const https = tunnels.filter((each) => each.public_url?.startsWith("https://"));
  const address = https.find((each) => !each.address_changes)?.public_url;
  if (address) return { address };
  const changing = https[0];
  return changing ? { changing: changing.kind_title } : { none: "This computer has none yet." };
}
