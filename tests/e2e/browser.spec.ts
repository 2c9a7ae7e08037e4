import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";

import { expect, type Patchbay, test } from "./patchbay";

/** Opens the sandbox from the start page, and allows it in the shop's own page. */
async function openSandbox(app: Page): Promise<void> {
  await app.getByRole("button", { name: "Open the sandbox shop" }).click();
  const opened = app.context().waitForEvent("page");
  await app.getByRole("button", { name: "Open the sign-in page" }).click();
  const consent = await opened;
  await consent.getByRole("button", { name: "Allow" }).click();
  await expect(consent.getByText("You can close this tab")).toBeVisible();
  await consent.close();
}

/** Connects the sandbox without the pages, and sends an unsigned request that is refused. */
async function sandboxInUse(patchbay: Patchbay): Promise<void> {
  const opened = await patchbay.api("POST", "/api/sandbox", {});
  const body = new URLSearchParams({ decision: "allow" });
  await fetch(opened.authorize_url, { method: "POST", body });
  await fetch(opened.inbox.local_url, { method: "POST", body: "not signed" });
  await expect
    .poll(async () => (await patchbay.api("GET", "/api/inboxes")).inboxes[0].registration.state)
    .toBe("registered");
  await patchbay.api("POST", "/api/sandbox/orders", { count: 20 });
  await expect
    .poll(async () => (await patchbay.api("GET", "/api/events/count")).count)
    .toBeGreaterThan(20);
}

test("a newcomer opens the sandbox shop, and its events arrive by themselves", async ({ app, patchbay }) => {
  await openSandbox(app);
  await expect(app.getByText(/Sandbox shop/).first()).toBeVisible();
  await expect
    .poll(async () => (await patchbay.api("GET", "/api/inboxes")).inboxes[0].registration.state)
    .toBe("registered");

  await app.goto(new URL("/events", patchbay.loginUrl).href);
  await patchbay.api("POST", "/api/sandbox/orders", { count: 3 });
  const row = app.getByRole("button", { name: /order\.created/ }).first();
  await expect(row).toBeVisible();

  await row.click();
  const detail = app.getByRole("article", { name: "Event" });
  await expect(detail.getByText(/Accepted: signed by Sandbox shop/)).toBeVisible();
  await expect(detail.getByText("order.created").first()).toBeVisible();
});

test("a sync is run again by hand, and says what changed", async ({ app, patchbay }) => {
  await sandboxInUse(patchbay);
  await app.goto(new URL("/syncs", patchbay.loginUrl).href);
  const runs = async (): Promise<{ trigger: string; state: string }[]> =>
    (await patchbay.api("GET", "/api/sync-runs")).sync_runs;
  await expect.poll(async () => (await runs()).filter((run) => run.state === "done").length).toBe(2);

  await app.getByRole("button", { name: /^Resync/ }).first().click();

  await expect
    .poll(async () => (await runs()).find((run) => run.trigger === "hand")?.state)
    .toBe("done");
  await expect(app.getByText(/done/).first()).toBeVisible();
});

test("the log is searched, and refused requests are a tab away", async ({ app, patchbay }) => {
  await sandboxInUse(patchbay);
  await app.goto(new URL("/events", patchbay.loginUrl).href);
  await app.getByRole("button", { name: /order\.created/ }).first().waitFor();

  await app.keyboard.press("/");
  await app.keyboard.type("no such word anywhere");
  await expect(app.getByRole("button", { name: /order\.created/ })).toHaveCount(0);

  await app.goto(new URL("/events/refusals", patchbay.loginUrl).href);
  await expect(app.getByText(/webhook-signature/).first()).toBeVisible();
});

const PAGES = ["", "events", "events/refusals", "inboxes", "inboxes/tunnels", "syncs", "connections", "settings"];

for (const theme of ["light", "dark"] as const) {
  test(`every page is whole in the ${theme} theme`, async ({ app, patchbay }) => {
    await sandboxInUse(patchbay);
    await app.emulateMedia({ colorScheme: theme });
    for (const path of PAGES) {
      await app.goto(new URL(`/${path}`, patchbay.loginUrl).href);
      if (path === "events") {
        await app.getByRole("button", { name: /order\.created/ }).first().click();
        await app.getByText(/Accepted: signed/).waitFor();
      }
      await app.getByRole("navigation").waitFor();
      await app.waitForLoadState("load");
      const found = await new AxeBuilder({ page: app }).analyze();
      const serious = found.violations.filter(
        (each) => each.impact === "serious" || each.impact === "critical",
      );
      const told = serious.map((each) => `${each.id}: ${each.nodes[0]?.html}`);
      expect.soft(told, `/${path}`).toEqual([]);
      const name = path === "" ? "overview" : path.replace("/", "-");
      await app.screenshot({ path: `results/pages/${name}-${theme}.png` });
    }
  });
}

test("nobody gets in without a code, and a code is good once", async ({ app, browser, patchbay }) => {
  await app.getByRole("navigation").waitFor();
  const stranger = await browser.newPage();

  await stranger.goto(patchbay.loginUrl);

  await expect(stranger.getByText("patchbay login")).toBeVisible();
  await expect(stranger.getByRole("navigation")).toHaveCount(0);
  await stranger.close();
});
