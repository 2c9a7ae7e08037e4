// The one client of the management API, and the names of its types. The types are generated from
// `openapi.json` (`npm run api`); nobody writes one by hand.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema";
import { session } from "./session";
import { tabsOf } from "./shared";
import type { Transport } from "./transport";
import { web } from "./web";
import { inWindow } from "./window";

type Schemas = components["schemas"];
export type Connection = Schemas["Connection"];
export type Connector = Schemas["Connector"];
export type ConnectorSummary = Schemas["ConnectorSummary"];
export type Count = Schemas["Count"];
export type Exchange = Schemas["Exchange"];
export type Hanging = Schemas["Hanging"];
export type LedgerEntry = Schemas["LedgerEntry"];
export type Event = Schemas["Event"];
export type EventSummary = Schemas["EventSummary"];
export type ExportedRequest = Schemas["EventRequest"];
export type Faults = Schemas["Faults"];
export type Field = Schemas["Field"];
export type Inbox = Schemas["Inbox"];
export type OpenedSandbox = Schemas["OpenedSandbox"];
export type Rate = Schemas["EventRate"];
export type Refusal = Schemas["Refusal"];
export type Sandbox = Schemas["Sandbox"];
export type Schedule = Schemas["Schedule"];
export type Settings = Schemas["Settings"];
export type Status = Schemas["Status"];
export type Sync = Schemas["Sync"];
export type SyncRun = Schemas["SyncRun"];
export type Tunnel = Schemas["Tunnel"];
export type TunnelKind = Schemas["TunnelKind"];
export type Way = Schemas["Way"];
export type Webhooks = Schemas["Webhooks"];

/** The door that this page has. */
export const transport: Transport = window.__TAURI_INTERNALS__
  ? inWindow()
  : web({
      fetch: (...args) => fetch(...args),
      token: () => session.token(),
      later: (ms, then) => {
        const timer = setTimeout(then, ms);
        return () => clearTimeout(timer);
      },
      tabs: tabsOf("changes"),
      visits: (left, back) => {
        window.addEventListener("pagehide", left);
        window.addEventListener("pageshow", back);
        return () => {
          window.removeEventListener("pagehide", left);
          window.removeEventListener("pageshow", back);
        };
      },
    });

export const api = createClient<paths>({
  baseUrl: location.origin,
  fetch: (request) => transport.fetch(request),
});

/** What the host said instead of an answer: what happened, and what to do about it. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Waits for an answer of `api` and returns its data, or throws what the host said instead. */
export async function ask<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  if (response.status === 401) session.over();
  throw refused(response.status, error);
}

/** The bytes of an event's body, as they came. */
export async function eventBody(id: string): Promise<Uint8Array> {
  const response = await transport.fetch(
    new Request(`${location.origin}/api/events/${encodeURIComponent(id)}/body`),
  );
  if (!response.ok) {
    throw refused(response.status, await response.json().catch(() => null));
  }
  return new Uint8Array(await response.arrayBuffer());
}

function refused(status: number, body: unknown): Refused {
  const error = (body as { error?: { code?: string; message?: string; hint?: string } } | null)
    ?.error;
  return new Refused(
    status,
    error?.code ?? "unknown",
    error?.message ?? `the host answered ${status}`,
    error?.hint,
  );
}
