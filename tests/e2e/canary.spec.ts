import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Locator, Page } from "@playwright/test";

import { leaksInFiles, Planted, Provider, Watch } from "./canary";
import { expect, Patchbay, test as base } from "./patchbay";
import { addConnector } from "./shop";

interface Fixtures {
  planted: Planted;
  /** Hears all that the browser is told from before the first page on. */
  watch: Watch;
}

const test = base.extend<Fixtures>({
  // Everything that it does is logged.
  patchbay: async ({}, use) => {
    const patchbay = await Patchbay.start(["--log", "trace"]);
    addConnector(patchbay.dataDir);
    await use(patchbay);
    await patchbay.stop();
  },
  planted: async ({}, use) => use(new Planted()),
  watch: async ({ page, planted }, use) => use(await Watch.begin(page, planted)),
});

test.use({ expected: /status of 4\d\d|cnry/, permissions: ["clipboard-read", "clipboard-write"] });

const sheetOf = (app: Page): Locator => app.getByRole("dialog").first();

/** An account, and whom it is at. */
interface Account {
  name: string;
  provider: Provider;
}

/** Somebody who goes through the pages, and has all of them searched. */
class Visitor {
  readonly accounts: Account[] = [];

  constructor(
    readonly app: Page,
    readonly patchbay: Patchbay,
    readonly planted: Planted,
    readonly watch: Watch,
  ) {}

  async to(path: string): Promise<void> {
    await this.app.goto(new URL(path, this.patchbay.loginUrl).href);
    await this.app.getByRole("navigation").waitFor();
  }

  look(): Promise<void> {
    return this.watch.look(this.app);
  }

  async choose(more: string, item: string): Promise<void> {
    await this.app.getByRole("button", { name: `More for ${more}`, exact: true }).click();
    await this.app.getByRole("menuitem", { name: item }).click();
  }

  /** A shop with a test key: the wrong one first, then the right one; its webhook is made by hand. */
  async connectShop(): Promise<void> {
    const { app } = this;
    const right = `sk_test_${this.planted.plant("shopkey")}`;
    const wrong = `sk_test_${this.planted.plant("wrongkey")}`;
    const provider = await this.account("Bell", right);
    await this.to("/connections?add=bell");
    const sheet = sheetOf(app);
    await sheet.getByRole("button", { name: "Go on" }).click();
    await sheet.getByLabel("Address").fill(provider.url);
    await sheet.getByLabel("Token").fill(wrong);
    await sheet.getByRole("button", { name: "Connect", exact: true }).click();
    await expect(sheet.getByRole("alert")).toBeVisible();
    await expect(sheet.locator("pre").last()).toContainText("no good");
    await this.look();

    await sheet.getByRole("button", { name: "Copy problem report" }).click();
    const report = app.getByRole("dialog", { name: "Problem report" });
    await this.look();
    await report.getByRole("button", { name: "Copy report" }).click();
    await expect(report.getByRole("button", { name: "Copied" })).toBeVisible();
    expect(await this.watch.clipboard(app)).toContain("headers sent: accept, authorization");
    await report.getByRole("button", { name: "Close" }).click();

    await sheet.getByRole("button", { name: "Try with…" }).click();
    await sheet.getByLabel("Token").fill(right);
    await sheet.getByRole("button", { name: "Try these" }).click();
    await expect(sheet.getByText("Check: Bell & Sons")).toBeVisible();
    await this.look();

    await sheet.getByRole("radio", { name: /^Webhook/ }).click();
    await sheet.getByRole("radio", { name: /^You, in the pages of Bell/ }).click();
    await sheet.getByRole("button", { name: "Begin" }).click();
    await sheet.getByLabel("Signing secret").fill(this.whsec("shopsigning"));
    await sheet.getByRole("button", { name: "Done" }).click();
    await expect(app.getByRole("dialog")).toHaveCount(0);
    await this.look();
  }

  /** Any API, in one of its ways in; `fill` fills in what this way needs, and returns its secret. */
  async connectRest(
    name: string,
    way: string,
    fill: (sheet: Locator, secret: string) => Promise<void>,
  ): Promise<void> {
    const secret = this.planted.plant(name);
    const provider = await this.account(name, secret);
    await this.to("/connections?add=rest");
    const sheet = sheetOf(this.app);
    await sheet.getByRole("radio", { name: way, exact: true }).click();
    await sheet.getByRole("button", { name: "Go on" }).click();
    await sheet.getByLabel("Address", { exact: true }).fill(provider.url);
    await sheet.getByLabel("Path for trying").fill("/me");
    await sheet.getByLabel("Path of the records").fill("/items");
    await sheet.getByLabel("Where the records are").fill("items");
    await sheet.getByLabel(/^Name/).fill(name);
    await fill(sheet, secret);
    await sheet.getByRole("button", { name: "Connect", exact: true }).click();
    await expect(sheet.getByText("Check: Bell & Sons")).toBeVisible();
    await this.look();
    await sheet.getByRole("checkbox", { name: /GraphQL/ }).click();
    await sheet.getByRole("button", { name: "Begin" }).click();
    await expect(this.app.getByRole("dialog")).toHaveCount(0);
  }

  /** An inbox that is made by hand, and whose secret is replaced then; what it is signed with in the end. */
  async makeInbox(): Promise<string> {
    const { app } = this;
    await this.to("/connections?add=standard-webhooks");
    const sheet = sheetOf(app);
    await sheet.getByLabel(/^Signing secret/).fill(this.whsec("oldsigning"));
    await sheet.getByLabel("Name").fill("By hand");
    await sheet.getByRole("button", { name: "Make inbox" }).click();
    await app.getByRole("article", { name: "Inbox" }).waitFor();
    await this.look();
    await this.choose("By hand", "Replace secrets");
    const secret = this.whsec("newsigning");
    await app.getByRole("dialog").getByLabel(/^Signing secret/).fill(secret);
    await app.getByRole("button", { name: "Replace secrets" }).click();
    await expect(app.getByRole("dialog")).toHaveCount(0);
    await this.look();
    return secret;
  }

  /** Requests whose headers and queries carry keys of others: one is right, one forged, one for nobody. */
  async send(secret: string): Promise<void> {
    const { inboxes } = await this.patchbay.api("GET", "/api/inboxes");
    const inbox = inboxes.find((each: { name: string }) => each.name === "By hand");
    const body = JSON.stringify({ type: "order.created", data: { id: 1 } });
    const [id, at] = ["msg_1", String(Math.floor(Date.now() / 1000))];
    const key = Buffer.from(secret.slice("whsec_".length), "base64");
    const mac = createHmac("sha256", key).update(`${id}.${at}.${body}`).digest("base64");
    const nobody = new URL("/in/nobody", inbox.local_url).href;
    for (const [url, signature, status] of [
      [inbox.local_url, mac, 200],
      [inbox.local_url, "AAAA", 401],
      [nobody, mac, 404],
    ] as const) {
      const query = new URLSearchParams({
        token: this.planted.plant("querytoken"),
        access_token: this.planted.plant("queryaccess"),
        api_key: this.planted.plant("querykey"),
        code: this.planted.plant("querycode"),
      });
      const answer = await fetch(`${url}?${query}`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "webhook-id": id,
          "webhook-timestamp": at,
          "webhook-signature": `v1,${signature}`,
          authorization: `Bearer ${this.planted.plant("bearer")}`,
          "proxy-authorization": `Basic ${btoa(`me:${this.planted.plant("proxy")}`)}`,
          cookie: `session=${this.planted.plant("cookie")}`,
          "x-api-key": this.planted.plant("apikey"),
          // A key of the inbox itself, by a name that tells nothing.
          ...(url === inbox.local_url ? { "x-note": secret } : {}),
        },
        body,
      });
      expect(answer.status, url).toBe(status);
    }
  }

  /** Everything that shows what came, and all that can be taken from there. */
  async readLog(): Promise<void> {
    const { app, watch } = this;
    await this.to("/events");
    await app.getByRole("button", { name: /order\.created/ }).first().click();
    const event = app.getByRole("article", { name: "Event" });
    await event.getByText(/Accepted/).waitFor();
    for (const tab of [/^Headers/, /^Proof/, /^Body/]) {
      await event.getByRole("tab", { name: tab }).click();
      await expect(event.getByRole("tabpanel")).not.toBeEmpty();
      await this.look();
    }
    await event.getByRole("button", { name: "Copy as curl" }).click();
    await expect(event.getByRole("button", { name: "Copied" })).toBeVisible();
    expect(await watch.clipboard(app)).toContain("webhook-id: msg_1");
    const saved = app.waitForEvent("download");
    await event.getByRole("button", { name: "More", exact: true }).click();
    await app.getByRole("menuitem", { name: "Export request" }).click();
    await watch.download(await saved);

    await this.to("/events/refusals");
    const rows = app.getByRole("button", { name: /POST|signature|address/i });
    await expect(rows.first()).toBeVisible();
    const { refusals } = await this.patchbay.api("GET", "/api/refusals?limit=1000");
    expect(refusals.length).toBeGreaterThan(1);
    for (const { id } of refusals) {
      await this.to(`/events/refusals?refusal=${id}`);
      const refusal = app.getByRole("article", { name: "Refusal" });
      await refusal.getByRole("tab", { name: /^Headers/ }).click();
      await this.look();
    }
  }

  /** Every page that there is, and every sheet that tells of secrets. */
  async readPages(): Promise<void> {
    for (const path of ["/", "/inboxes", "/inboxes/tunnels", "/syncs", "/connections"]) {
      await this.to(path);
      await this.look();
    }
    for (const section of ["general", "security", "storage", "sandbox", "about"]) {
      await this.to(`/settings/${section}`);
      await this.look();
    }
    const { syncs } = await this.patchbay.api("GET", "/api/syncs");
    expect(syncs.length).toBe(4);
    for (const { id } of syncs) {
      await this.to(`/syncs/${id}`);
      await this.look();
    }
  }

  /** What a provider that lets nobody in any more is told, and what is said of it. */
  async lockOut(): Promise<void> {
    const { app } = this;
    for (const { name, provider } of this.accounts) {
      provider.lockOut();
      const { syncs } = await this.patchbay.api("GET", "/api/syncs");
      const sync = syncs.find((each: { connection_name: string }) => each.connection_name === name);
      await this.to(`/syncs/${sync.id}`);
      await app.getByRole("button", { name: /^Resync/ }).first().click();
      await expect
        .poll(async () => (await this.patchbay.api("GET", `/api/syncs/${sync.id}`)).runs[0].state)
        .toBe("failed");
      await this.look();
      await this.to(`/connections?connection=${sync.connection}`);
      await expect(sheetOf(app).getByRole("alert")).toBeVisible();
      await expect(sheetOf(app).locator("pre").last()).toContainText("no good");
      await this.look();
    }
  }

  /** Each provider has seen what is its own and nothing else, as often as the ledger shows. */
  async compareLedgers(): Promise<void> {
    const seenAt = new Map<string, string>();
    for (const { name, provider } of this.accounts) {
      await this.to("/connections");
      await this.choose(name, "Where its secrets went");
      const ledger = this.app.getByRole("dialog", { name: `Secrets of ${name}` });
      const rows = ledger.getByRole("listitem");
      await rows.first().waitFor();
      await this.look();

      const found = provider.seen.map((raw) => this.planted.foundIn(raw));
      for (const secret of found.flat()) {
        expect(seenAt.get(secret) ?? name, secret).toBe(name);
        seenAt.set(secret, name);
      }
      const carried = found.filter((each) => each.length > 0).length;
      expect(carried, name).toBeGreaterThan(2);
      const noted = (await rows.getByText(/^\d+ ×$/).allTextContents()).map((text) => parseInt(text, 10));
      expect(noted.reduce((sum, times) => sum + times, 0), name).toBe(carried);
      for (const row of await rows.all()) await expect(row).toContainText(provider.host);
    }
  }

  private async account(name: string, secret: string): Promise<Provider> {
    const provider = await Provider.open(secret);
    this.accounts.push({ name, provider });
    return provider;
  }

  private whsec(name: string): string {
    const secret = `whsec_${Buffer.from(this.planted.plant(name)).toString("base64")}`;
    this.planted.note(`${name} as it is written`, secret);
    return secret;
  }
}

test("what is typed into the pages is found in requests to its own host and nowhere else", async ({ watch, app, patchbay, planted }) => {
  test.setTimeout(480_000);
  const ids = async (): Promise<string[]> =>
    (await patchbay.api("GET", "/api/connectors")).connectors.map((each: { id: string }) => each.id);
  await expect.poll(ids).toContain("bell");
  const visitor = new Visitor(app, patchbay, planted, watch);

  await visitor.connectShop();
  await visitor.connectRest("headerkey", "Key in a header of its own", async (sheet, secret) => {
    await sheet.getByLabel("Header", { exact: true }).fill("x-shop-key");
    await sheet.getByLabel("Token", { exact: true }).fill(secret);
  });
  await visitor.connectRest("addresskey", "Key in the address", async (sheet, secret) => {
    await sheet.getByLabel("Token", { exact: true }).fill(secret);
  });
  await visitor.connectRest("password", "User and password", async (sheet, secret) => {
    await sheet.getByLabel("User").fill("me");
    await sheet.getByLabel("Password").fill(secret);
  });
  await visitor.send(await visitor.makeInbox());
  await visitor.readLog();
  await visitor.readPages();
  await visitor.lockOut();
  await visitor.readPages();
  await visitor.compareLedgers();

  // Nothing was heard where nothing was listened to.
  expect(watch.count("the stream of changes")).toBeGreaterThan(0);
  expect(watch.count("the answer of /api/")).toBeGreaterThan(100);
  expect(await watch.leaks()).toEqual([]);
  expect(patchbay.log).toContain("TRACE");
  expect(planted.foundIn(patchbay.log)).toEqual([]);
  expect(planted.foundIn(patchbay.startedWith)).toEqual([]);
  const { files, leaks } = leaksInFiles(patchbay.folder, planted);
  expect(files).toBeGreaterThan(5);
  expect(leaks).toEqual([]);
  for (const { provider } of visitor.accounts) provider.close();
});

/** Where something is planted to be found. */
const PLACES = [
  "console",
  "attribute for a moment",
  "text for a moment",
  "page",
  "field",
  "local storage",
  "session storage",
  "cookie",
  "history state",
  "address",
  "database",
  "asked address",
  "answer",
  "header",
  "clipboard",
  "file",
  "data folder",
];

test("the search finds what is planted in each place that it looks at", async ({ watch, app, patchbay, planted }) => {
  const at: Record<string, string> = {};
  for (const place of PLACES) at[place] = planted.plant(place.replaceAll(" ", ""));
  await app.route("**/api/leak*", (route) =>
    route.fulfill({ body: JSON.stringify({ raw: btoa(`:${at.answer}`) }), headers: { "x-echo": at.header! } }),
  );
  await app.evaluate(async (at) => {
    console.log(at.console);
    document.querySelector("nav")!.setAttribute("title", at["attribute for a moment"]!);
    document.querySelector("nav")!.removeAttribute("title");
    document.body.append(at["text for a moment"]!);
    document.body.lastChild!.remove();
    document.querySelector("nav")!.dataset.left = at.page;
    const field = document.body.appendChild(document.createElement("input"));
    field.value = at.field!;
    localStorage.setItem("x", at["local storage"]!);
    sessionStorage.setItem("x", at["session storage"]!);
    document.cookie = `x=${at.cookie}`;
    history.replaceState({ x: at["history state"] }, "", `?x=${at.address}`);
    await new Promise((done) => {
      const opening = indexedDB.open("x", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("x");
      opening.onsuccess = () => {
        const writing = opening.result.transaction("x", "readwrite");
        writing.objectStore("x").put({ value: at.database }, "x");
        writing.oncomplete = done;
      };
    });
    await fetch(`/api/leak?x=${at["asked address"]}`);
    await navigator.clipboard.writeText(at.clipboard!);
  }, at);
  await watch.clipboard(app);
  await watch.look(app);
  const saved = app.waitForEvent("download");
  await app.evaluate((text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text]));
    link.download = "x";
    link.click();
  }, at.file!);
  await watch.download(await saved);
  // The stream tells of an inbox by its id; it is not the page that makes it speak.
  const streamed = watch.count("the stream of changes");
  await patchbay.api("POST", "/api/inboxes", { name: "Any", connector: "any" });
  await expect.poll(() => watch.count("the stream of changes")).toBeGreaterThan(streamed);
  const path = join(patchbay.dataDir, "left");
  writeFileSync(path, Buffer.from(at["data folder"]!).toString("hex"));

  const leaks = [...(await watch.leaks()), ...leaksInFiles(patchbay.folder, planted).leaks];
  const found = (place: string) =>
    leaks.filter((leak) => leak.startsWith(`${place.replaceAll(" ", "")}#`));
  expect(PLACES.filter((place) => found(place).length === 0)).toEqual([]);
});
