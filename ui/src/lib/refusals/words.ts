// Why a request was refused, in the few words of a row.

import type { Refusal } from "$lib/api/client";

const REASONS: Record<Refusal["reason"], string> = {
  unknown_path: "unknown address",
  method: "wrong method",
  too_large: "too large",
  too_slow: "too slow",
  unsigned: "not signed",
  malformed: "malformed",
  stale: "too old",
  wrong_signature: "wrong signature",
  no_secret: "no secret",
  no_key: "no key",
  bad_certificate: "bad certificate",
  unwanted: "unwanted",
  no_connector: "no connector",
  vault_locked: "vault locked",
  secret_lost: "secret lost",
  vault_unusable: "vault unusable",
  overload: "overload",
};

export function reason(refusal: Pick<Refusal, "reason">): string {
  return REASONS[refusal.reason];
}

/** Whether the sender did nothing wrong: we could not take it. */
export function ours(refusal: Pick<Refusal, "reason">): boolean {
  return [
    "no_secret",
    "no_key",
    "no_connector",
    "vault_locked",
    "secret_lost",
    "vault_unusable",
    "overload",
  ].includes(refusal.reason);
}

/** Who asked, as far as the listener knows. */
export function from(refusal: Pick<Refusal, "address">): string {
  const { address } = refusal;
  if (!address) return "unknown sender";
  return address === "::1" || address.startsWith("127.") ? "this computer" : address;
}
