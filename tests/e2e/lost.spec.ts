import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "./patchbay";
import { addConnector, Shop, TOKEN } from "./shop";

// The page loses its host, and the next one does not know its session.
test.use({ expected: /status of 401|ERR_|Failed to fetch/ });

test("a vault that has lost its secrets is told of, with what to enter again, until it was", async ({ app, patchbay }) => {
  const shop = await Shop.open();
  addConnector(patchbay.dataDir);
  const make = { connector: "bell", name: "Corner shop", way: "key", settings: { url: shop.url } };
  await expect
    .poll(() =>
      patchbay.api("POST", "/api/connections", { ...make, secrets: { token: TOKEN } }).then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
  const signing_secret = "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0";
  await patchbay.api("POST", "/api/inboxes", {
    name: "Till",
    connector: "standard-webhooks",
    secrets: { signing_secret },
  });
  const sealed = join(patchbay.dataDir, "vault.sealed");
  expect(existsSync(sealed)).toBe(true);

  await patchbay.restart(() => rmSync(sealed));
  await app.goto(patchbay.loginUrl);

  await expect(app.getByText("Some secrets are no longer in the vault")).toBeVisible();
  await expect(app.getByRole("listitem")).toHaveText([/Corner shop, connection/, /Till, inbox/]);
  await app.getByRole("link", { name: "Corner shop" }).click();
  const sheet = app.getByRole("dialog").first();
  await sheet.getByLabel("Token").fill(TOKEN);
  await sheet.getByRole("button", { name: "Keep these" }).click();
  await expect(sheet.getByText("Check: Bell & Sons")).toBeVisible();
  await sheet.getByRole("button", { name: "Close" }).click();
  await expect(app.getByText(/^connected/)).toBeVisible();

  // What is left stays in sight.
  await app.getByRole("link", { name: "What to enter again" }).click();
  await expect(app.getByRole("heading", { name: "Till" })).toBeVisible();
  await expect(app.getByRole("heading", { name: "Corner shop" })).toHaveCount(0);
  await app.getByRole("link", { name: "Go there" }).click();
  await expect(app.getByText("its secrets are lost")).toHaveCount(2);
  await app.getByRole("button", { name: "Enter its secret" }).click();
  await app.getByRole("dialog").getByLabel(/^Signing secret/).fill(signing_secret);
  await app.getByRole("button", { name: "Keep secret" }).click();
  await expect(app.getByText("its secrets are lost")).toHaveCount(0);
  await expect(app.getByRole("link", { name: "What to enter again" })).toHaveCount(0);
  expect((await patchbay.api("GET", "/api/status")).vault.lost).toEqual([]);
  shop.close();
});
