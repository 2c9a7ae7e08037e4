// An address of our own kind, with which a browser comes back from a sign-in.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";

import { api, folder, Program, until, Window } from "./desktop.mjs";

const CONNECTOR = `
format: 1
id: shop
name: Shop
status: documented
settings: { shop: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' } }
base_url: '{{ settings.shop }}'
auth:
  - oauth_code:
      authorize_url: '{{ settings.shop }}/authorize'
      token_url: '{{ settings.shop }}/token'
      client_id: ours
      secret: forbidden
      pkce: alone
      redirect: custom
check: { get: /me, account: .name }
`;

test("a second start hands the address on which a browser ended to the window", async (t) => {
  const provider = createServer((_, answer) => {
    answer.setHeader("content-type", "application/json");
    answer.end(JSON.stringify({ access_token: "canary-token", name: "Acme" }));
  }).listen(0, "127.0.0.1");
  await once(provider, "listening");
  t.after(() => provider.close());
  const dataDir = join(folder(t), "data");
  mkdirSync(join(dataDir, "connectors", "shop"), { recursive: true });
  writeFileSync(join(dataDir, "connectors", "shop", "connector.yaml"), CONNECTOR);
  const window = await Window.open(t, { dataDir, args: ["--hidden"] });
  const { id } = await until("the host", () =>
    api(dataDir, "POST", "/api/connections", {
      connector: "shop",
      name: "Acme shop",
      settings: { shop: `http://127.0.0.1:${provider.address().port}` },
    }),
  );
  const { authorize_url } = await api(dataDir, "POST", `/api/connections/${id}/authorize`, {});
  const asked = new URL(authorize_url).searchParams;
  assert.equal(asked.get("redirect_uri"), "patchbay://oauth/callback");
  const state = () => api(dataDir, "GET", `/api/connections/${id}`).then((it) => it.state);
  const open = async (query) => {
    const second = Program.desktop(t, dataDir, { args: [`patchbay://oauth/callback?${query}`] });
    assert.equal(await second.ended, 0, second.said);
  };

  await open("code=canary-code&state=another");
  assert.equal(await state(), "signing_in");
  await open(`code=canary-code&state=${asked.get("state")}`);

  // It is taken when the second start ends.
  assert.equal(await state(), "ready");
  await until("the window", () => window.isShown());
});
