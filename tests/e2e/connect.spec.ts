import AxeBuilder from "@axe-core/playwright";
import type { Locator, Page } from "@playwright/test";

import { expect, type Patchbay, test as base } from "./patchbay";
import { addConnector, Shop, TOKEN } from "./shop";

interface Fixtures {
  /** A shop, with its connector in the user's own folder. */
  shop: Shop;
}

const test = base.extend<Fixtures>({
  shop: async ({ patchbay }, use) => {
    const shop = await Shop.open();
    addConnector(patchbay.dataDir);
    // The folder is looked at every few seconds.
    const ids = async (): Promise<string[]> =>
      (await patchbay.api("GET", "/api/connectors")).connectors.map((each: { id: string }) => each.id);
    await expect.poll(ids).toContain("bell");
    await use(shop);
    shop.close();
  },
});

const WRONG = "sk_test_wrong_canary";

const sheetOf = (app: Page): Locator => app.getByRole("dialog").first();
const to = (app: Page, patchbay: Patchbay, path: string) =>
  app.goto(new URL(path, patchbay.loginUrl).href);

/** Whether everybody can use what is shown now. */
async function accessible(app: Page): Promise<void> {
  const found = await new AxeBuilder({ page: app }).include("[role=dialog]").analyze();
  const serious = found.violations.filter(
    (each) => each.impact === "serious" || each.impact === "critical",
  );
  expect(serious.map((each) => `${each.id}: ${each.nodes[0]?.html}`)).toEqual([]);
}

/** Fills in the easiest way in, and asks whether it works. */
async function connectBell(app: Page, patchbay: Patchbay, shop: Shop, token: string) {
  await to(app, patchbay, "/connections");
  await app.getByRole("button", { name: /^Bell/ }).click();
  const sheet = sheetOf(app);
  await sheet.getByRole("button", { name: "Go on" }).click();
  await sheet.getByLabel("Address").fill(shop.url);
  await sheet.getByLabel("Token").fill(token);
  await sheet.getByRole("button", { name: "Connect", exact: true }).click();
  return sheet;
}

/** Opens the menu of a connection, and chooses something in it. */
async function choose(app: Page, connection: string, item: string | RegExp): Promise<void> {
  await app.getByRole("button", { name: `More for ${connection}`, exact: true }).click();
  await app.getByRole("menuitem", { name: item }).click();
}

test("the sandbox is connected step by step, and taken up where it was left", async ({ app, patchbay }) => {
  await patchbay.api("POST", "/api/connections", { connector: "sandbox", name: "My shop" });
  await to(app, patchbay, "/connections");
  await expect(app.getByText(/half made/)).toBeVisible();

  await app.getByRole("button", { name: "Go on" }).click();
  const sheet = sheetOf(app);
  await expect(sheet.getByRole("button", { name: "Copy link" })).toBeVisible();
  await expect(sheet.getByLabel("Paste the address you landed on")).toBeVisible();
  await accessible(app);
  const opened = app.context().waitForEvent("page");
  await sheet.getByRole("button", { name: "Open the sign-in page" }).click();
  const consent = await opened;
  await consent.getByRole("button", { name: "Allow" }).click();
  await consent.getByText("You can close this tab").waitFor();
  await consent.close();

  const { account } = (await patchbay.api("GET", "/api/connections")).connections[0];
  await expect(sheet.getByText(`Check: ${account}`)).toBeVisible();
  await expect(sheet.getByRole("radio", { name: /^Ask every 5 minutes/ })).toBeChecked();
  await sheet.getByRole("radio", { name: /^Both/ }).click();
  await sheet.getByRole("checkbox", { name: "Customers" }).click();
  await accessible(app);
  await sheet.getByRole("button", { name: "Begin" }).click();

  await expect(app.getByRole("dialog")).toHaveCount(0);
  const { syncs } = await patchbay.api("GET", "/api/syncs");
  expect(syncs.map((each: { stream: string }) => each.stream).sort()).toEqual([
    "orders",
    "products",
    "stock",
  ]);
  await expect
    .poll(async () => (await patchbay.api("GET", "/api/inboxes")).inboxes[0].registration.state)
    .toBe("registered");
  // The shop has told its signing secret: nobody is asked for it.
  expect((await patchbay.api("GET", "/api/inboxes")).inboxes[0].missing_secrets).toEqual([]);
});

test("a half-made connection outlives the page, and is thrown away whole", async ({ app, patchbay, shop }) => {
  await to(app, patchbay, "/connections");
  await app.getByRole("button", { name: /^Bell/ }).click();
  const sheet = sheetOf(app);
  await accessible(app);
  await sheet.getByRole("radio", { name: /An app of your own/ }).click();
  await sheet.getByRole("button", { name: "Go on" }).click();
  await expect(
    sheet.getByText("You make your own app at Bell once, about 6 minutes; nobody else sees your data."),
  ).toBeVisible();
  await expect(sheet.getByLabel("Scopes to give it")).toHaveValue("orders stock");
  await expect(sheet.getByLabel("Redirect address to give it")).toHaveValue(
    "http://127.0.0.1/oauth/callback",
  );
  await sheet.getByLabel("Address", { exact: true }).fill(shop.url);
  await sheet.getByLabel("Client id").fill("patchbay");
  await sheet.getByLabel("Client secret").fill("canary");
  await accessible(app);
  await sheet.getByRole("button", { name: "Go on to sign in" }).click();
  await sheet.getByRole("button", { name: "Finish later" }).click();
  await expect(app.getByText(/half made/)).toBeVisible();

  await app.reload();
  await app.getByRole("button", { name: "Go on" }).click();
  await expect(sheet.getByRole("button", { name: "Open the sign-in page" })).toBeVisible();
  await sheet.getByRole("button", { name: "Throw away" }).click();

  await expect(app.getByText("Bell is thrown away. Nothing of it is kept.")).toBeVisible();
  expect((await patchbay.api("GET", "/api/connections")).connections).toEqual([]);
});

test("a way that needs an address that stays is refused where there is none, with the reason", async ({ app, patchbay, shop }) => {
  await to(app, patchbay, "/connections?add=bell");
  const sheet = sheetOf(app);
  await sheet.getByRole("radio", { name: /comes back over https/ }).click();
  await sheet.getByRole("button", { name: "Go on" }).click();

  await expect(sheet.getByText(/to an https address that stays the same/)).toBeVisible();
  await expect(sheet.getByRole("link", { name: /Start a tunnel/ })).toBeVisible();
  await expect(sheet.getByLabel("Redirect address to give it")).toHaveCount(0);
  await expect(sheet.getByRole("button", { name: "Go on to sign in" })).toBeDisabled();
  expect(shop.url).toContain("127.0.0.1");
});

test.describe("a check that fails", () => {
  test.use({ expected: /status of 4\d\d/, permissions: ["clipboard-read", "clipboard-write"] });

  test("shows what was sent and answered without secrets, and can be tried with others", async ({ app, patchbay, shop }) => {
    const sheet = await connectBell(app, patchbay, shop, WRONG);
    await expect(sheet.getByRole("alert")).toContainText("does not accept the token");
    const exchange = sheet.locator("pre").last();
    await expect(exchange).toContainText(`GET ${shop.url}/me`);
    await expect(exchange).toContainText("authorization: [masked]");
    await expect(exchange).toContainText("Ann Bell may not do this");
    expect(await app.content()).not.toContain(WRONG);
    await accessible(app);

    await sheet.getByRole("button", { name: "Copy problem report" }).click();
    const report = app.getByRole("dialog", { name: "Problem report" });
    await expect(report).toContainText("answer: 401, JSON with error.message");
    await report.getByRole("button", { name: "Copy report" }).click();
    await expect(report.getByRole("button", { name: "Copied" })).toBeVisible();
    const copied = await app.evaluate(() => navigator.clipboard.readText());
    expect(copied).toContain("headers sent: accept, authorization");
    expect(copied).not.toContain("Ann Bell");
    expect(copied).not.toContain(WRONG);
    await report.getByRole("button", { name: "Close" }).click();

    await sheet.getByRole("button", { name: "Try with…" }).click();
    await expect(sheet.getByLabel("Address")).toHaveValue(shop.url);
    await sheet.getByLabel("Token").fill(TOKEN);
    await sheet.getByRole("button", { name: "Try these" }).click();
    await expect(sheet.getByText("Check: Bell & Sons")).toBeVisible();
    await expect(sheet.getByText("test", { exact: true })).toBeVisible();
    // Payouts are for another way in.
    await expect(sheet.getByRole("checkbox")).toHaveCount(1);
  });

  test("comes at once when a key is changed, and what hangs on the connection goes on after", async ({ app, patchbay, shop }) => {
    const sheet = await connectBell(app, patchbay, shop, TOKEN);
    await sheet.getByRole("button", { name: "Begin" }).click();
    await choose(app, "Bell", "Change what was filled in");
    await sheet.getByLabel("Token").fill(WRONG);
    await sheet.getByRole("button", { name: "Keep these" }).click();
    await expect(sheet.getByRole("alert")).toContainText("does not accept the token");

    await sheet.getByRole("button", { name: "Not now" }).click();
    await expect(app.getByText(/needs sign-in/)).toBeVisible();
    await app.getByRole("button", { name: "Sign in", exact: true }).click();
    await sheet.getByRole("button", { name: "Try with…" }).click();
    await sheet.getByLabel("Token").fill(TOKEN);
    await sheet.getByRole("button", { name: "Try these" }).click();

    await expect(sheet.getByText("It works. What hangs on it goes on: 1 sync.")).toBeVisible();
    await sheet.getByRole("button", { name: "Done" }).click();
    await expect(app.getByText(/^connected/)).toBeVisible();
  });
});

test("a webhook that is made by hand shows its address last, and asks for its secret there", async ({ app, patchbay, shop }) => {
  const sheet = await connectBell(app, patchbay, shop, TOKEN);
  await sheet.getByRole("radio", { name: /^Webhook/ }).click();
  await expect(sheet.getByRole("radio", { name: /^Patchbay, with this sign-in/ })).toBeChecked();
  await sheet.getByRole("radio", { name: /^You, in the pages of Bell/ }).click();
  await sheet.getByRole("button", { name: "Begin" }).click();

  await expect(sheet.getByText("Tell Bell of the inbox")).toBeVisible();
  await sheet.getByLabel("Signing secret").fill("whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0");
  await accessible(app);
  await sheet.getByRole("button", { name: "Done" }).click();

  await expect(app.getByRole("dialog")).toHaveCount(0);
  const inbox = (await patchbay.api("GET", "/api/inboxes")).inboxes[0];
  expect(inbox.registration.state).toBe("by_hand");
  expect(inbox.has_secrets).toBe(true);
  expect(inbox.missing_secrets).toEqual([]);
});

test("where a socket is offered it works without an address, and nobody is told of one", async ({ app, patchbay, shop }) => {
  const sheet = await connectBell(app, patchbay, shop, TOKEN);
  await sheet.getByRole("radio", { name: /^Socket.*works now/ }).click();
  await sheet.getByRole("button", { name: "Begin" }).click();

  await expect(app.getByRole("dialog")).toHaveCount(0);
  const inbox = (await patchbay.api("GET", "/api/inboxes")).inboxes[0];
  expect(inbox.registration.state).toBe("socket");
});

test("a connection is renamed, marked, switched off and deleted, and what stops working is said before", async ({ app, patchbay, shop }) => {
  const sheet = await connectBell(app, patchbay, shop, TOKEN);
  await sheet.getByRole("button", { name: "Begin" }).click();
  await expect(app.getByRole("dialog")).toHaveCount(0);

  await choose(app, "Bell", "Rename");
  await app.getByRole("dialog").getByLabel("Name").fill("Corner shop");
  await app.getByRole("button", { name: "Rename connection" }).click();
  await expect(app.getByText("Corner shop").first()).toBeVisible();

  await choose(app, "Corner shop", "Mark Bell as working");
  await expect(app.getByRole("button", { name: /^Bell.*tried here/ })).toBeVisible();

  await choose(app, "Corner shop", "Where its secrets went");
  const ledger = app.getByRole("dialog", { name: "Secrets of Corner shop" });
  await expect(ledger.getByText(new URL(shop.url).host).first()).toBeVisible();
  await expect(ledger.getByText(/token.*for check/)).toBeVisible();
  await accessible(app);
  await ledger.getByRole("button", { name: "Close" }).click();

  await choose(app, "Corner shop", "Switch off");
  const off = app.getByRole("dialog", { name: "Switch off Corner shop?" });
  await expect(off.getByText("1 sync waits until it is switched on: Orders.")).toBeVisible();
  await off.getByRole("button", { name: "Switch off" }).click();
  await app.getByRole("button", { name: "Switch on" }).click();
  await expect(app.getByText(/^connected/)).toBeVisible();

  await choose(app, "Corner shop", "Delete");
  const away = app.getByRole("dialog", { name: "Delete Corner shop?" });
  await expect(away.getByText("1 sync ends: Orders.")).toBeVisible();
  await expect(away.getByText(/At Bell they are good until you remove them there/)).toBeVisible();
  await accessible(app);
  await away.getByRole("button", { name: "Delete connection" }).click();
  await expect(app.getByText("Corner shop is deleted.")).toBeVisible();
  expect((await patchbay.api("GET", "/api/connections")).connections).toEqual([]);
  expect((await patchbay.api("GET", "/api/syncs")).syncs).toEqual([]);
});

test("the connector that is looked for is found by its name and by what it is for", async ({ app, patchbay, shop }) => {
  await to(app, patchbay, "/connections");
  await app.getByRole("button", { name: /^Bell.*documented/ }).waitFor();

  await app.keyboard.press("/");
  await app.keyboard.type("tills bell");
  await expect(app.getByRole("button", { name: /^Bell/ })).toBeVisible();
  await expect(app.getByRole("button", { name: /^Standard Webhooks/ })).toHaveCount(0);
  expect(shop.url).toContain("127.0.0.1");
});
