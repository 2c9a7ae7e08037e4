// The vault in sentences: where secrets are, whether that works, and what to do where it does not.

import type { Status } from "$lib/api/client";

type Vault = Omit<Status["vault"], "lost">;

export interface VaultWords {
  kind: string;
  text: string;
  /** What to do, where something has to be done. Commands in it stand between backticks. */
  todo?: string;
  /** The command that does it. */
  command?: string;
  /** What the system said, for those who want to know. */
  detail?: string;
}

const KINDS: Record<Vault["kind"], string> = {
  keychain: "The keychain of this computer",
  sealed_file: "A sealed file",
  memory: "Memory",
  missing: "No vault",
};

const READY: Record<Vault["kind"], string> = {
  keychain:
    "Tokens and signing secrets are kept in the keychain of this computer, and nowhere else.",
  sealed_file:
    "Tokens and signing secrets are kept in a file that is sealed with a key file. Keep a copy of the key " +
    "file in a safe place: without it nobody can read them, and accounts have to be connected again.",
  memory: "Tokens and signing secrets are kept in memory only, and are gone when Patchbay stops.",
  missing: "",
};

/** What to say of a vault. */
export function vaultWords(vault: Vault): VaultWords {
  const kind = KINDS[vault.state === "missing" ? "missing" : vault.kind];
  const detail = vault.message ? { detail: vault.message } : {};
  switch (vault.state) {
    case "ready":
      return { kind, text: READY[vault.kind] };
    case "opening":
      return {
        kind,
        text: "It has not answered yet. Whatever needs no secret works meanwhile.",
      };
    case "locked":
      return {
        kind,
        text: "It is locked. Events that need a secret are held until it opens, and syncs wait.",
        todo:
          vault.hint ?? "Unlock it in your system's password program. Patchbay goes on by itself.",
      };
    case "missing":
      return {
        kind,
        text: "There is no keychain here, so nothing that needs a secret can work.",
        todo: "Run this once: it makes a sealed file and a key for it. Then start Patchbay again.",
        command: "patchbay vault init",
        ...detail,
      };
    case "broken":
      return {
        kind,
        text: "It cannot be read, or does not give back what was put into it.",
        todo: vault.hint ?? "Run this: it says what is wrong and what helps.",
        ...(vault.hint ? {} : { command: "patchbay doctor" }),
        ...detail,
      };
  }
}
