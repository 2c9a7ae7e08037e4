type Time = string;
type Pairs = string[][];
type Json<T> = { headers: Record<string, unknown>; content: { "application/json": T } };
type Failure = components["schemas"]["Failure"];
type Params<Q, P> = {
  query?: Q;
  header?: never;
  path: P;
  cookie?: never;
};
type Body<In> = [In] extends [never]
  ? { requestBody?: never }
  : { requestBody: { content: { "application/json": In } } };
type Op<Out, Q = never, P = never, In = never, Status extends number = 200> = Body<In> & {
  parameters: [P] extends [never]
    ? { query?: Q; header?: never; path?: never; cookie?: never }
    : Params<Q, P>;
  
  responses: { [S in Status]: Json<Out> } & { default: Json<Failure> };
};
type Empty<P = never, In = never> = Body<In> & {
  parameters: [P] extends [never]
    ? { query?: never; header?: never; path?: never; cookie?: never }
    : Params<never, P>;
  
  responses: { 204: { headers: Record<string, unknown>; content?: never }; default: Json<Failure> };
};
type Id = { id: string };
type Paging = { limit?: number; before?: string; after?: string };
type EventFilter = { inbox?: string; type?: string; q?: string; since?: Time; until?: Time };
type List<Noun extends string, T> = { [N in Noun]: T[] } & {
  next: string | null;
  previous: string | null;
};
type Schemas = components["schemas"];

export interface components {
  schemas: {
    Failure: { error: { code: string; message: string; hint?: string | null } };
    Count: { count: number; exact: boolean };
    Notice: { noun: string; inbox?: string | null; up_to?: string | null; added: number };
    Status: {
      version: string;
      host: "window" | "headless";
      platform: "linux" | "macos" | "windows";
      data_dir: string;
      api_url: string | null;
      ingress_url: string | null;
      startup: {
        state: "ready" | "newer_data" | "damaged" | "no_space" | "owned" | "unusable";
        message?: string | null;
        hint?: string | null;
      };
      vault: {
        kind: "keychain" | "sealed_file" | "memory" | "missing";
        state: "ready" | "locked" | "missing" | "broken";
        message?: string | null;
        hint?: string | null;
      };
      disk: { database_bytes: number; free_bytes: number; full: boolean };
      sandbox: { enabled: boolean; connection?: string | null };
      reach: {
        state: "reachable" | "unproved" | "off";
        public_url?: string | null;
        proved_at?: Time | null;
      };
      autostart: boolean | null;
    };
    Settings: { time_zone: string | null; close_explained: boolean };
    ConnectorSummary: {
      id: string;
      name: string;
      status: "documented" | "tried" | "sandbox";
      own: boolean;
      icon: string;
      about: string;
      has_webhooks: boolean;
      has_api: boolean;
      broken?: { file: string; line?: number | null; message: string } | null;
    };
    Field: {
      name: string;
      title: string;
      help?: string | null;
      example?: string | null;
      pattern?: string | null;
      default?: string | null;
      secret: boolean;
      required: boolean;
    };
    Way: {
      id: string;
      title: string;
      kind: string;
      who?: string | null;
      minutes?: number | null;
      needs?: string | null;
      cannot?: string | null;
      steps?: string | null;
      scopes: string[];
      fields: Schemas["Field"][];
      browser: boolean;
    };
    Connector: Schemas["ConnectorSummary"] & {
      docs?: string | null;
      settings: Schemas["Field"][];
      auth: Schemas["Way"][];
      streams: { id: string; title: string }[];
      webhooks?: {
        secrets: Schemas["Field"][];
        settings: Schemas["Field"][];
        topics: string[];
        registers: boolean;
        signed: boolean;
      } | null;
    };
    Connection: {
      id: string;
      connector: string;
      connector_name: string;
      name: string;
      state: "ready" | "needs_sign_in" | "signing_in" | "off" | "broken";
      why?: string | null;
      since?: Time | null;
      account?: string | null;
      checked_at?: Time | null;
      created_at: Time;
      way?: string | null;
      token_expires_at?: Time | null;
      settings: Record<string, string>;
      syncs: number;
      inboxes: number;
      sandbox: boolean;
    };
    NewConnection: {
      connector: string;
      name: string;
      way?: string | null;
      settings: Record<string, string>;
      secrets: Record<string, string>;
    };
    Inbox: {
      id: string;
      name: string;
      connector: string;
      connector_name: string;
      connection?: string | null;
      local_url: string;
      public_url: string | null;
      created_at: Time;
      heard_at?: Time | null;
      events: Schemas["Count"];
      registration: {
        state: "by_hand" | "waiting" | "registered" | "failed";
        why?: string | null;
        at?: Time | null;
        url?: string | null;
      };
      secret_names: string[];
      signed: boolean;
      sandbox: boolean;
    };
    NewInbox: {
      name: string;
      connector: string;
      connection?: string | null;
      secrets: Record<string, string>;
      settings: Record<string, string>;
    };
    EventSummary: {
      id: string;
      inbox: string;
      inbox_name: string;
      type: string;
      title: string;
      external_id?: string | null;
      received_at: Time;
      size_bytes: number;
      origin: "push" | "recovered" | "sync" | "hand";
      proof: "verified" | "unsigned" | "held" | "recovered";
      arrived: number;
      sandbox: boolean;
    };
    Event: Schemas["EventSummary"] & {
      connection?: string | null;
      about?: { stream: string; record_key: string; record_version?: string | null } | null;
      occurred_at?: Time | null;
      why: string;
      proof_detail: {
        scheme?: string | null;
        header?: string | null;
        signed?: string | null;
        secret?: number | null;
      };
      method: string;
      query?: string | null;
      headers: Pairs;
      first_at: Time;
      last_at: Time;
    };
    ExportedRequest: {
      method: string;
      url: string;
      headers: Pairs;
      body?: string | null;
      body_base64?: string | null;
    };
    Rate: {
      from: Time;
      step_seconds: number;
      inboxes: { inbox: string; name: string; counts: number[] }[];
    };
    Refusal: {
      id: string;
      inbox?: string | null;
      inbox_name?: string | null;
      at: Time;
      address?: string | null;
      method: string;
      path: string;
      reason:
        | "unknown_path"
        | "method"
        | "too_large"
        | "too_slow"
        | "unsigned"
        | "malformed"
        | "stale"
        | "wrong_signature"
        | "no_secret"
        | "vault_locked"
        | "overload";
      message: string;
      hint: string;
      headers: Pairs;
      body_start: string;
      size_bytes: number;
      times: number;
    };
    Schedule: { every: string } | { cron: string; zone: string };
    Progress: { records_per_second: number; seconds_left?: number | null; requests: number };
    Sync: {
      id: string;
      connection: string;
      connection_name: string;
      connector: string;
      stream: string;
      stream_title: string;
      schedule: Schemas["Schedule"] | null;
      schedule_text: string;
      state: "idle" | "running" | "waiting" | "failed" | "paused";
      why?: string | null;
      until?: Time | null;
      next_run_at?: Time | null;
      newest_at?: Time | null;
      lag_seconds?: number | null;
      records: Schemas["Count"];
      runs: Schemas["SyncRun"][];
      progress?: Schemas["Progress"] | null;
      created_at: Time;
      sandbox: boolean;
    };
    SyncRun: {
      id: string;
      sync: string;
      trigger: "schedule" | "hand" | "first";
      full: boolean;
      state: "running" | "done" | "failed" | "cancelled";
      started_at: Time;
      ended_at?: Time | null;
      pages: number;
      records: number;
      inserted: number;
      changed: number;
      unchanged: number;
      deleted: number;
      expected?: number | null;
      error?: { code: string; message: string; hint?: string | null } | null;
    };
    TunnelKind: {
      id: string;
      title: string;
      about: string;
      program?: string | null;
      installed: boolean;
      install_hint?: string | null;
      fields: Schemas["Field"][];
      plain_http: boolean;
      address_changes: boolean;
    };
    Tunnel: {
      id: string;
      kind: string;
      kind_title: string;
      name: string;
      settings: Record<string, string>;
      state: "off" | "starting" | "unproved" | "reachable" | "failed";
      public_url?: string | null;
      proved_at?: Time | null;
      why?: string | null;
      hint?: string | null;
      output: string[];
      ingress?: string | null;
      plain_http: boolean;
      address_changes: boolean;
      created_at: Time;
    };
    Faults: {
      drop: number;
      duplicate: number;
      reorder: number;
      delay_ms: number;
      answer_429: number;
      answer_500: number;
      slow_ms: number;
    };
    Shop: {
      orders: number;
      customers: number;
      products: number;
      orders_per_minute: number;
      faults: Schemas["Faults"];
      delivered: number;
      failed: number;
      dropped: number;
    };
    Sandbox: {
      enabled: boolean;
      connection?: string | null;
      inbox?: string | null;
      shop?: Schemas["Shop"] | null;
    };
    OpenedSandbox: {
      connection: Schemas["Connection"];
      inbox: Schemas["Inbox"];
      syncs: Schemas["Sync"][];
      authorize_url: string;
    };
  };
}

export interface paths {
  "/api/health": { get: Op<{ status: string; version: string }> };
  "/api/login": { post: Op<{ token: string }, never, never, { code: string }> };
  "/api/status": { get: Op<Schemas["Status"]> };
  "/api/settings": {
    get: Op<Schemas["Settings"]>;
    patch: Op<Schemas["Settings"], never, never, Partial<Schemas["Settings"]>>;
  };
  "/api/host": { patch: Empty<never, { autostart: boolean }> };
  "/api/host/open": { post: Empty<never, { url: string }> };
  "/api/connectors": { get: Op<{ connectors: Schemas["ConnectorSummary"][] }> };
  "/api/connectors/{id}": { get: Op<Schemas["Connector"], never, Id> };
  "/api/connections": {
    get: Op<List<"connections", Schemas["Connection"]>, Paging>;
    post: Op<Schemas["Connection"], never, never, Schemas["NewConnection"], 201>;
  };
  "/api/connections/{id}": {
    get: Op<Schemas["Connection"], never, Id>;
    patch: Op<
      Schemas["Connection"],
      never,
      Id,
      {
        name?: string;
        settings?: Record<string, string>;
        secrets?: Record<string, string>;
        on?: boolean;
      }
    >;
    delete: Empty<Id>;
  };
  "/api/connections/{id}/authorize": {
    post: Op<{ authorize_url: string; expires_at: Time }, never, Id>;
  };
  "/api/connections/{id}/authorize/complete": {
    post: Op<Schemas["Connection"], never, Id, { redirect_url: string }>;
  };
  "/api/connections/{id}/check": { post: Op<Schemas["Connection"], never, Id> };
  "/api/inboxes": {
    get: Op<List<"inboxes", Schemas["Inbox"]>, Paging>;
    post: Op<Schemas["Inbox"], never, never, Schemas["NewInbox"], 201>;
  };
  "/api/inboxes/{id}": {
    get: Op<Schemas["Inbox"], never, Id>;
    patch: Op<Schemas["Inbox"], never, Id, { name?: string; secrets?: Record<string, string> }>;
    delete: Op<{ events_deleted: number }, never, Id>;
  };
  "/api/events": { get: Op<List<"events", Schemas["EventSummary"]>, EventFilter & Paging> };
  "/api/events/count": { get: Op<Schemas["Count"], EventFilter> };
  "/api/events/types": { get: Op<{ types: string[] }, { inbox?: string }> };
  "/api/events/rate": { get: Op<Schemas["Rate"], { minutes?: number }> };
  "/api/events/{id}": { get: Op<Schemas["Event"], never, Id> };
  "/api/events/{id}/request": { get: Op<Schemas["ExportedRequest"], never, Id> };
  "/api/refusals": { get: Op<List<"refusals", Schemas["Refusal"]>, { inbox?: string } & Paging> };
  "/api/refusals/count": { get: Op<Schemas["Count"], { since?: Time }> };
  "/api/refusals/{id}": { get: Op<Schemas["Refusal"], never, Id> };
  "/api/syncs": {
    get: Op<List<"syncs", Schemas["Sync"]>, Paging>;
    post: Op<
      Schemas["Sync"],
      never,
      never,
      { connection: string; stream: string; schedule: Schemas["Schedule"] | null },
      201
    >;
  };
  "/api/syncs/{id}": {
    get: Op<Schemas["Sync"], never, Id>;
    patch: Op<
      Schemas["Sync"],
      never,
      Id,
      { schedule?: Schemas["Schedule"] | null; paused?: boolean }
    >;
    delete: Empty<Id>;
  };
  "/api/syncs/{id}/run": { post: Op<{ id: string }, never, Id, { full?: boolean }, 202> };
  "/api/sync-runs": { get: Op<List<"sync_runs", Schemas["SyncRun"]>, { sync?: string } & Paging> };
  "/api/sync-runs/{id}/cancel": { post: Op<Schemas["SyncRun"], never, Id> };
  "/api/tunnel-kinds": { get: Op<{ tunnel_kinds: Schemas["TunnelKind"][] }> };
  "/api/tunnels": {
    get: Op<List<"tunnels", Schemas["Tunnel"]>, Paging>;
    post: Op<
      Schemas["Tunnel"],
      never,
      never,
      {
        kind: string;
        name?: string | null;
        settings: Record<string, string>;
        secrets: Record<string, string>;
      },
      201
    >;
  };
  "/api/tunnels/{id}": { get: Op<Schemas["Tunnel"], never, Id>; delete: Empty<Id> };
  "/api/tunnels/{id}/start": { post: Op<Schemas["Tunnel"], never, Id> };
  "/api/tunnels/{id}/stop": { post: Op<Schemas["Tunnel"], never, Id> };
  "/api/tunnels/{id}/probe": { post: Op<Schemas["Tunnel"], never, Id> };
  "/api/sandbox": {
    get: Op<Schemas["Sandbox"]>;
    post: Op<Schemas["OpenedSandbox"], never, never, never, 201>;
    patch: Op<
      Schemas["Sandbox"],
      never,
      never,
      { orders_per_minute?: number; faults?: Partial<Schemas["Faults"]> }
    >;
    delete: Empty;
  };
  "/api/sandbox/orders": { post: Op<{ made: number }, never, never, { count: number }, 202> };
  "/api/sandbox/expire-tokens": { post: Empty };
}
