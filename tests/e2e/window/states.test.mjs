// What stands in the place of the pages, each provoked for real.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { execFileSync } from "node:child_process";

import { folder, lockedKeychain, Program, serving, until, Window } from "./desktop.mjs";

/** A bus without anybody on it: there is no keychain then. */
const NO_BUS = { DBUS_SESSION_BUS_ADDRESS: "unix:path=/nowhere" };

test("no keychain", async (t) => {
  const window = await Window.open(t, { env: NO_BUS });
  await window.watched(async () => {
    await window.sees("There is no keychain here to keep secrets in");
    await window.sees("patchbay vault init");
    await window.picture("window-no-keychain.png");
    await window.click("//button[contains(., 'Go on without')]");
    await window.sees("Connect an account");
    assert.deepEqual(window.faults(), []);
  });
});

test("a locked keychain", async (t) => {
  const window = await Window.open(t, { env: await lockedKeychain(t) });
  await window.watched(async () => {
    await window.sees("The keychain is locked");
    await window.picture("window-vault-locked.png");
    assert.deepEqual(window.faults(), []);
  });
});

test("data of a newer version, until it is gone", async (t) => {
  const dataDir = join(folder(t), "data");
  const window = await Window.open(t, { dataDir });
  const { pid } = serving(dataDir);
  process.kill(pid, "SIGTERM");
  await until("a clean end", () => window.isGone());
  const version = (number) =>
    execFileSync("sqlite3", [join(dataDir, "patchbay.db"), `PRAGMA user_version=${number}`]);
  const before = execFileSync("sqlite3", [join(dataDir, "patchbay.db"), "PRAGMA user_version"]);
  version(999);

  const again = await Window.open(t, { dataDir, args: ["--hidden"] });
  await again.watched(async () => {
    await again.sees("This data was made by a newer Patchbay");
    // Nobody asked to see it, and somebody has to.
    await until("the window", () => again.isShown());
    await again.picture("window-newer-data.png");
    const second = Program.desktop(t, dataDir);
    assert.equal(await second.ended, 0, second.said);

    version(Number(before));
    await again.click("//button[contains(., 'Look again')]");
    await again.sees("Connect an account");
    assert.deepEqual(again.faults(), []);
  });
});

test("a data folder that cannot be one", async (t) => {
  const place = folder(t);
  writeFileSync(join(place, "file"), "");
  const window = await Window.open(t, { dataDir: join(place, "file", "data") });
  await window.watched(async () => {
    await window.sees("The data folder cannot be used");
    await window.picture("window-unusable.png");
    assert.deepEqual(window.faults(), []);
  });
});

test("the port for webhooks is taken", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const window = await Window.open(t, { ingress: `127.0.0.1:${server.address().port}` });
  await window.watched(async () => {
    await window.sees(String(server.address().port));
    await window.picture("window-port-taken.png");
    server.close();
    await once(server, "close");
    await window.click("//button[contains(., 'Look again')]");
    await window.sees("Connect an account");
    assert.deepEqual(window.faults(), []);
  });
});
