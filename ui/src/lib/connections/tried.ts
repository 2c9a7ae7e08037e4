// Marking a connector as working with an account of the user's.

import { api, ask, type ConnectorSummary } from "$lib/api/client";
import { done } from "$lib/ui/toasts.svelte";

/** Marks it, or takes the mark back, and says so. */
export async function markTried(
  connector: Pick<ConnectorSummary, "id" | "name">,
  tried_here: boolean,
): Promise<void> {
  const path = { params: { path: { id: connector.id } } };
  await ask(api.PATCH("/api/connectors/{id}", { ...path, body: { tried_here } }));
  done(
    tried_here
      ? `${connector.name} is marked as working here.`
      : `${connector.name} is no longer marked.`,
  );
}
