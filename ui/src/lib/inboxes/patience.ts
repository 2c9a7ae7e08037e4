/** How long a sender tries where nobody answers, in a sentence. */
import type { Connector } from "$lib/api/client";
import { counted, duration } from "$lib/time/words";
import { sentence } from "$lib/ui/sentence";

type GivesUp = NonNullable<Connector["webhooks"]>["gives_up"];

export function patienceOf(known: GivesUp): string | null {
  if (!known) return null;
  const tries = known.tries && counted(known.tries, "try", "tries");
  const over = known.over_s && duration(known.over_s * 1000);
  const when = [tries && `After ${tries}`, over && `${tries ? "over" : "After"} ${over}`]
    .filter(Boolean)
    .join(" ");
  const then = known.then ?? (when && "it does not try again");
  return then ? sentence([when, then].filter(Boolean).join(": ")) : null;
}
