// Which state, if any, is bigger than the page.

import type { Status } from "$lib/api/client";
import { enterAgain, type Again } from "./lost";
import { sentence } from "$lib/ui/sentence";

/** What stands in the way. */
export interface Gate {
  id: string;
  title: string;
  text?: string | undefined;
  hint?: string | undefined;
  command?: string | undefined;
  /** What the system said, for those who want to know. */
  detail?: string | undefined;
  /** What has to be gone to, each by its name. */
  list?: readonly Again[] | undefined;
  /** The page can be used all the same, with a banner. */
  passable: boolean;
}

const STARTUP: Record<
  Exclude<Status["startup"]["state"], "ready">,
  { title: string; text: string }
> = {
  newer_data: {
    title: "This data was made by a newer Patchbay",
    text: "Nothing was touched. Install that version or a later one to open it.",
  },
  damaged: {
    title: "The database is damaged",
    text: "It was set aside as it is, and nothing was written to it.",
  },
  no_space: {
    title: "There is no room on the disk",
    text: "Patchbay needs some to bring its data up to date safely.",
  },
  owned: {
    title: "Another Patchbay works with this data",
    text: "Only one can, so that nothing is written twice. Close the other one, or use it.",
  },
  unusable: {
    title: "The data folder cannot be used",
    text: "Patchbay can neither read nor write there.",
  },
  port_taken: {
    title: "Another program listens at that port",
    text: "Webhooks would go to it.",
  },
  failed: {
    title: "Patchbay could not start",
    text: "Nothing was touched.",
  },
};

/** The state to show instead of the page, or nothing. */
export function gate(status: Status): Gate | null {
  const { startup, vault, disk } = status;
  if (startup.state !== "ready") {
    const words = STARTUP[startup.state];
    return {
      id: startup.state,
      title: words.title,
      text: startup.message ? sentence(startup.message) : words.text,
      hint: startup.hint ?? undefined,
      passable: false,
    };
  }
  if (disk.full) {
    return {
      id: "disk_full",
      title: "The disk is full",
      text: "Senders are told to come back later, and syncs wait. Nothing that was accepted is lost.",
      hint: "Free some room on the disk. Patchbay goes on by itself.",
      passable: true,
    };
  }
  if (vault.state === "missing") {
    return {
      id: "vault_missing",
      title: "There is no keychain here to keep secrets in",
      text: "Signing secrets and tokens need a place that is not a plain file.",
      hint: "This makes a sealed file and a key for it. Start Patchbay again after it.",
      detail: vault.message ?? undefined,
      command: "patchbay vault init",
      passable: true,
    };
  }
  if (vault.state === "locked") {
    return {
      id: "vault_locked",
      title: "The keychain is locked",
      text: "Events that need a secret are held until it opens, and syncs wait. Nothing is lost.",
      hint:
        vault.hint ?? "Unlock it in your system's password program. Patchbay goes on by itself.",
      passable: true,
    };
  }
  if (vault.state === "broken") {
    return {
      id: "vault_broken",
      title: "The vault cannot be read",
      text: "Tokens and signing secrets cannot be used until it can. Nothing is lost.",
      hint: vault.hint ?? undefined,
      detail: vault.message ?? undefined,
      passable: true,
    };
  }
  if (vault.lost.length > 0) {
    return {
      id: "secrets_lost",
      title: "Some secrets are no longer in the vault",
      text: "They were removed there, or this is another vault. What needs one of them waits, and senders are told to come back.",
      hint: "Nothing else is lost. Enter these again:",
      list: vault.lost.map(enterAgain),
      passable: true,
    };
  }
  return null;
}
