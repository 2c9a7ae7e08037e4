// The pages, with the keys that lead to them.

export const PAGES = [
  { title: "Overview", address: "/", keys: "g o" },
  { title: "Events", address: "/events", keys: "g e" },
  { title: "Refusals", address: "/events/refusals", keys: "g r" },
  { title: "Inboxes", address: "/inboxes", keys: "g i" },
  { title: "Tunnels", address: "/inboxes/tunnels", keys: "g t" },
  { title: "Syncs", address: "/syncs", keys: "g s" },
  { title: "Connections", address: "/connections", keys: "g c" },
  { title: "Settings", address: "/settings", keys: "g ," },
] as const;
