// A shop for the tests of connecting: an API on loopback that knows one token, and its connector.

import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** The one token that is good. */
export const TOKEN = "sk_test_right";

export class Shop {
  private constructor(private readonly server: Server) {}

  static async open(): Promise<Shop> {
    const server = createServer((request, answer) => {
      const known = request.headers.authorization === `Bearer ${TOKEN}`;
      const body = !known
        ? { error: { message: "Ann Bell may not do this" } }
        : request.url === "/me"
          ? { name: "Bell & Sons" }
          : { items: [] };
      answer.writeHead(known ? 200 : 401, { "content-type": "application/json" });
      answer.end(JSON.stringify(body));
    });
    await new Promise<void>((listens) => server.listen(0, "127.0.0.1", listens));
    return new Shop(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** Puts the connector of the shop into a user's own folder. */
export function addConnector(dataDir: string): void {
  const folder = join(dataDir, "connectors", "bell");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "connector.yaml"), CONNECTOR);
  writeFileSync(join(folder, "icon.svg"), '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"/>');
}

const CONNECTOR = `format: 1
id: bell
name: Bell
status: documented
family: shop
about: A shop that these tests keep.
settings:
  url: { title: Address, pattern: 'http://127[.]0[.]0[.]1:[0-9]+' }
  api_version: { title: API version, default: "2026-10", advanced: true }
base_url: "{{ settings.url }}"
auth:
  - id: key
    title: A key
    who: owners
    minutes: 2
    cannot: read payouts
    steps: |
      1. Open [the keys](https://bell.example/keys).
      2. Give it these scopes:

      \`\`\`
      orders:read
      \`\`\`
    header_token: { prefix: "Bearer " }
    test_or_live: { test: sk_test_, live: sk_live_ }
  - id: app
    title: An app of your own
    minutes: 6
    oauth_code:
      authorize_url: "{{ settings.url }}/authorize"
      token_url: "{{ settings.url }}/token"
      secret: required
      scopes: [orders, stock]
  - id: public
    title: An app that comes back over https
    minutes: 9
    needs: a tunnel whose address stays
    oauth_code:
      authorize_url: "{{ settings.url }}/authorize"
      token_url: "{{ settings.url }}/token"
      secret: required
      redirect: https
check: { get: /me, account: .name }
errors: { message: .error.message }
streams:
  orders: { get: /orders, records: .items, key: .id }
  payouts: { get: /payouts, records: .items, key: .id, ways: [app] }
webhooks:
  verify: standard_webhooks
  topics: [order.created]
register:
  rest: { create: { post: /hooks, json: { url: "{{ inbox.url }}" } }, id: .id }
  secret: { answer: .secret }
socket: { open: { post: /socket }, url: .url, hosts: stream.bell.example }
`;
