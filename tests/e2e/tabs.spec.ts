// Many pages of one Patchbay in one browser: in its tabs, and kept after they were left.

import { expect, type Patchbay, test } from "./patchbay";

const address = (patchbay: Patchbay, path: string) => new URL(path, patchbay.loginUrl).href;

test("pages that were left hold no connection, and are true again when gone back to", async ({ app, patchbay }) => {
  await app.getByRole("navigation").waitFor();
  for (let round = 0; round < 4; round += 1) {
    for (const [path, heading] of [["/events", "Events"], ["/syncs", "Syncs"], ["/inboxes", "Inboxes"]] as const) {
      await app.goto(address(patchbay, path));
      await expect(app.getByRole("heading", { name: heading, level: 2 })).toBeVisible();
    }
  }
  await app.evaluate(() => {
    addEventListener("pageshow", (event) => (document.title = event.persisted ? "kept" : "anew"));
  });
  await app.goto(address(patchbay, "/settings"));
  await app.evaluate(() => history.back());
  await expect(app).toHaveTitle("kept");

  await patchbay.api("POST", "/api/inboxes", { name: "Made meanwhile", connector: "any" });
  await expect(app.getByText("Made meanwhile")).toBeVisible();
});

test("the tenth tab works as the first does", async ({ app, patchbay }) => {
  await app.getByRole("link", { name: "Inboxes" }).click();
  const tabs = [app];
  while (tabs.length < 10) {
    const tab = await app.context().newPage();
    const { url } = await patchbay.api("POST", "/api/login-codes");
    await tab.goto(url);
    await tab.getByRole("link", { name: "Inboxes" }).click();
    await expect(tab.getByRole("heading", { name: "Inboxes", level: 2 })).toBeVisible();
    tabs.push(tab);
  }

  await patchbay.api("POST", "/api/inboxes", { name: "First", connector: "any" });
  for (const tab of tabs) await expect(tab.getByText("First")).toBeVisible();

  // The one that reads for all goes, and the others go on.
  await tabs.shift()!.close();
  await patchbay.api("POST", "/api/inboxes", { name: "Second", connector: "any" });
  for (const tab of tabs) await expect(tab.getByText("Second")).toBeVisible();
});
