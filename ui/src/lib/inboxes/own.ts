// Which questions of a rule that the user builds are worth asking, by how the sender proves itself.

import type { Field } from "$lib/api/client";
import type { Values } from "$lib/ui/Fields.svelte";

/** What each kind of proof reads; one that is not here reads everything. */
const READ: Record<string, readonly string[]> = {
  none: [],
  token: ["signature", "prefix", "signing_secret"],
  standard_webhooks: ["signing_secret"],
};

/** How the sender proves itself, where `fields` are of a rule that the user builds. */
function proof(fields: readonly Field[], values: Values): string | undefined {
  const builds = fields.some((field) => field.name === "message");
  const question = builds && fields.find((field) => field.name === "proof");
  return question ? values.proof || question.default || undefined : undefined;
}

/** Those of `fields` that matter with what was filled in. */
export function asked(fields: readonly Field[], values: Values): readonly Field[] {
  const read = READ[proof(fields, values) ?? ""];
  return read
    ? fields.filter((field) => field.name === "proof" || read.includes(field.name))
    : fields;
}

/** Whether what was filled in asks for a signature; nothing where it is not the user who says so. */
export function signs(fields: readonly Field[], values: Values): boolean | undefined {
  const chosen = proof(fields, values);
  return chosen === undefined ? undefined : chosen !== "none";
}
