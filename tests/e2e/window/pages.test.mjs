// Every page in the real window, in both themes, as the switch in Settings chooses them: it is
// drawn, says something, and complains of nothing. Their pictures are for people to look at.

import assert from "node:assert/strict";
import { test } from "node:test";

import { allowSandbox, serving, Window } from "./desktop.mjs";

const tab = (title) => `//*[@role='tab'][contains(., '${title}')]`;

// By the ways that people take: what is clicked, one after the other, and a text of the page.
const PAGES = [
  ["overview", ["//nav//a[contains(., 'Overview')]"], "Sandbox"],
  ["events", ["//nav//a[contains(., 'Events')]", "//button[contains(., 'order.created')]"], "signed by"],
  ["events-refusals", [tab("Refusals")], "no inbox has this address"],
  ["inboxes", ["//nav//a[contains(., 'Inboxes')]"], "Sandbox"],
  ["inboxes-tunnels", [tab("Tunnels")], "public address"],
  ["syncs", ["//nav//a[contains(., 'Syncs')]"], "Products"],
  ["sync", ["//main//a[contains(., 'Orders')]"], "Full resync"],
  ["connections", ["//nav//a[contains(., 'Connections')]"], "Sandbox"],
  ["settings", ["//nav//a[contains(., 'Settings')]"], "Theme"],
  ["settings-security", [tab("Security")], "keychain"],
  ["settings-storage", [tab("Storage")], "events"],
  ["settings-about", [tab("About")], "0."],
];

test("every page is whole in both themes", async (t) => {
  const window = await Window.open(t, { args: ["--sandbox"] });
  await window.watched(async () => {
    await allowSandbox(window);
    await fetch(`${serving(window.dataDir).ingress_url}/in/nobody`, { method: "POST", body: "{}" });
    for (const theme of ["Light", "Dark"]) {
      await window.click("//nav//a[contains(., 'Settings')]");
      await window.click(tab("General"));
      await window.click("//button[starts-with(@aria-label, 'Theme:')]");
      await window.click(`//*[@role='option' or @data-command-item][contains(., '${theme}')]`);
      for (const [name, clicks, text] of PAGES) {
        for (const xpath of clicks) await window.click(xpath);
        await window.sees(text);
        await window.picture(`window/${name}-${theme.toLowerCase()}.png`);
      }
    }
    assert.deepEqual(window.faults(), []);
  });
});
