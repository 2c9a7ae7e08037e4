// The real window, driven through WebKitWebDriver by plain HTTP: opens the sandbox shop as a newcomer
// does, allows it in its consent window, sees an event arrive by itself, and ends cleanly.
//
// Needs a display and a session bus; `cargo xtask test --only window` gives it both. A session that
// WebKitWebDriver fails to begin is tried once more, from nothing; a click never is.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = process.env.PATCHBAY_DESKTOP ?? "patchbay-desktop";
const RESULTS = new URL("./results/", import.meta.url).pathname;
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";
/** How long anything may take that a user waits for, in milliseconds. */
const PATIENCE = 60_000;

/** Asks again until `look` finds something. */
async function until(what, look) {
  const begun = Date.now();
  for (let last; ; ) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() - begun > PATIENCE) throw new Error(`not within a minute: ${what}`, { cause: last });
    await new Promise((done) => setTimeout(done, 100));
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** One WebDriver session: the window with its pages. */
class Window {
  #driver;
  #url;

  static async open(dataDir) {
    const port = await freePort();
    const window = new Window();
    window.#driver = spawn("WebKitWebDriver", [`--port=${port}`], {
      stdio: ["ignore", "inherit", "inherit"],
      // Without it the session waits for ever. No browser: consent comes in a window of ours.
      env: { ...process.env, TAURI_WEBVIEW_AUTOMATION: "true", BROWSER: "false" },
    });
    const base = `http://127.0.0.1:${port}`;
    try {
      await until("WebKitWebDriver", async () => (await fetch(`${base}/status`)).ok);
      const args = ["--data-dir", dataDir, "--ingress", "127.0.0.1:0", "--sandbox"];
      const options = { binary: PROGRAM, args };
      const capabilities = { alwaysMatch: { "webkitgtk:browserOptions": options } };
      const { sessionId } = await call(`${base}/session`, "POST", { capabilities });
      window.#url = `${base}/session/${sessionId}`;
      return window;
    } catch (error) {
      window.#driver.kill();
      throw error;
    }
  }

  ask(method, path, body) {
    return call(this.#url + path, method, body);
  }

  async find(xpath) {
    const found = await this.ask("POST", "/element", { using: "xpath", value: xpath });
    return found[ELEMENT];
  }

  /** Clicks once, as soon as it is there. */
  async click(xpath) {
    const id = await until(xpath, () => this.find(xpath));
    await this.ask("POST", `/element/${id}/click`, {});
  }

  async picture(name) {
    mkdirSync(RESULTS, { recursive: true });
    writeFileSync(join(RESULTS, name), Buffer.from(await this.ask("GET", "/screenshot"), "base64"));
  }

  run(script) {
    return this.ask("POST", "/execute/sync", { script, args: [] });
  }

  /** What is seen when something has failed. */
  async explain() {
    console.error(await this.run("return location.href + '\\n' + document.body.innerText;"));
    await this.picture("window-failed.png");
  }

  end() {
    this.#driver.kill();
  }
}

async function call(url, method, body) {
  const answer = await fetch(url, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE),
  });
  const { value } = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${url}: ${value?.error ?? answer.status} ${value?.message ?? ""}`);
  return value;
}

/** The window that is not `known`. */
async function other(window, known) {
  return until("the consent window", async () =>
    (await window.ask("GET", "/window/handles")).find((handle) => handle !== known),
  );
}

async function connectAndSeeAnEvent(window) {
  const main = await window.ask("GET", "/window");
  await until("the first page", () => window.find("//nav"));
  await window.run(
    "window.reports = []; document.addEventListener('securitypolicyviolation'," +
      " (event) => window.reports.push(event.violatedDirective + ' ' + event.blockedURI));",
  );

  await window.click("//button[contains(., 'Open the sandbox shop')]");
  await window.click("//button[contains(., 'Open the sign-in page')]");
  await window.ask("POST", "/window", { handle: await other(window, main) });
  await window.click("//button[@value='allow']");
  await window.ask("POST", "/window", { handle: main });
  await window.click("//button[contains(., 'Watch its events')]");

  await window.click("//button[contains(., 'order.created')]");
  await until("why it was accepted", () => window.find("//*[contains(text(), 'signed by')]"));
  await window.picture("window.png");

  const reports = await window.run("return window.reports;");
  if (reports.length > 0) throw new Error(`the policy was broken: ${reports.join(", ")}`);
}

/** Ends the process as a logout does, and waits until its announcement is gone. */
async function quit(dataDir) {
  const announcement = join(dataDir, "serve.json");
  const { pid } = JSON.parse(readFileSync(announcement, "utf8"));
  process.kill(pid, "SIGTERM");
  await until("a clean end", () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
  try {
    readFileSync(announcement);
  } catch {
    return;
  }
  throw new Error("serve.json is still there after a clean end");
}

async function attempt() {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-window-"));
  const dataDir = join(folder, "data");
  let window;
  try {
    window = await Window.open(dataDir);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    return { begun: false, error };
  }
  try {
    await connectAndSeeAnEvent(window);
    await quit(dataDir);
    return {};
  } catch (error) {
    await window.explain().catch(() => {});
    return { begun: true, error };
  } finally {
    window.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

let outcome = await attempt();
if (outcome.begun === false) {
  console.log(`no session, once more: ${outcome.error.message}`);
  outcome = await attempt();
}
if (outcome.error) {
  console.error(outcome.error);
  process.exit(1);
}
console.log("the window connected the sandbox and saw an event arrive");
