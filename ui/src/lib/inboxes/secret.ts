// Signing secrets for senders that let the receiver choose one.

/** Connectors whose secrets look like Standard Webhooks' own. */
const CHOSEN_HERE = new Set(["standard-webhooks"]);

/** Whether a secret for this connector can be made here. */
export function canMake(connector: string): boolean {
  return CHOSEN_HERE.has(connector);
}

/** A new secret in the form of Standard Webhooks: 32 random bytes. */
export function make(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return `whsec_${btoa(String.fromCharCode(...bytes))}`;
}
