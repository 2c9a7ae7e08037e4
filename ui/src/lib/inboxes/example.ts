// A command that sends a first event to an inbox, by hand.

import type { Inbox } from "$lib/api/client";
import { quote } from "$lib/events/curl";

/** How an example to an inbox of each connector is signed; connectors that are not here cannot be. */
const SIGNED = new Set(["standard-webhooks"]);

/**
 * A command for a POSIX shell, or nothing where only the sender can sign. The secret has to be filled
 * in: it is nowhere but in the vault.
 */
export function example(inbox: Pick<Inbox, "connector" | "signed" | "local_url">): string | null {
  if (!inbox.signed) {
    return [
      `curl ${quote(inbox.local_url)} \\`,
      `  -H 'content-type: application/json' \\`,
      `  --data-raw '{"type":"hello","from":"me"}'`,
    ].join("\n");
  }
  if (!SIGNED.has(inbox.connector)) return null;
  return [
    `SECRET='whsec_…'  # the signing secret of this inbox`,
    `ID="msg_$(date +%s)"; AT="$(date +%s)"; BODY='{"type":"hello","from":"me"}'`,
    `KEY="$(printf %s "\${SECRET#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \\n')"`,
    `SIGNATURE="$(printf '%s.%s.%s' "$ID" "$AT" "$BODY" |`,
    `  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -binary | base64)"`,
    `curl ${quote(inbox.local_url)} \\`,
    `  -H 'content-type: application/json' -H "webhook-id: $ID" \\`,
    `  -H "webhook-timestamp: $AT" -H "webhook-signature: v1,$SIGNATURE" \\`,
    `  --data-raw "$BODY"`,
  ].join("\n");
}
