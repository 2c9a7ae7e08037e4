// The real window, driven through WebKitWebDriver by plain HTTP, and the desktop around it.
//
// Needs a display, a session bus and a keychain; `cargo xtask test --only window` gives it all three.
// A session that WebKitWebDriver fails to begin is tried once more, from nothing; a click never is.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

export const PROGRAM = process.env.PATCHBAY_DESKTOP ?? "patchbay-desktop";
const HEADLESS = process.env.PATCHBAY ?? "patchbay";
const PANEL = process.env.PATCHBAY_PANEL ?? "panel";
const RESULTS = new URL("../results/", import.meta.url).pathname;
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";
/** How long anything may take that a user waits for, in milliseconds. */
const PATIENCE = 60_000;

/** Asks again until `look` finds something. */
export async function until(what, look) {
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

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** A folder for the data that goes when the test has ended. */
export function folder(test) {
  const path = mkdtempSync(join(tmpdir(), "patchbay-window-"));
  test.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** What the owner of the data has announced; it throws as long as there is none. */
export function serving(dataDir) {
  return JSON.parse(readFileSync(join(dataDir, "serve.json"), "utf8"));
}

/** Asks or tells the management API of the owner, as the command line does. */
export async function api(dataDir, method, path, body) {
  const { api_url, token_file } = serving(dataDir);
  const answer = await fetch(api_url + path, {
    method,
    headers: {
      authorization: `Bearer ${readFileSync(token_file, "utf8").trim()}`,
      "content-type": "application/json",
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

/** A program of ours and what it said; ended with its test if it is still there. */
export class Program {
  constructor(test, file, args, env = {}) {
    this.said = "";
    this.child = spawn(file, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (this.said += text));
    }
    /** Its exit code, once it has ended and everything it said is here. */
    this.ended = once(this.child, "close").then(([code]) => code);
    test.after(async () => {
      this.child.kill("SIGKILL");
      await this.ended;
    });
  }

  static desktop(test, dataDir, { args = [], env } = {}) {
    return new Program(test, PROGRAM, ["--data-dir", dataDir, "--ingress", "127.0.0.1:0", ...args], env);
  }

  static patchbay(test, args, env) {
    return new Program(test, HEADLESS, args, env);
  }

  /** `patchbay serve`, from when it is ready. */
  static async serve(test, dataDir, args = []) {
    const listen = ["--api", "127.0.0.1:0", "--ingress", "127.0.0.1:0"];
    const host = Program.patchbay(test, ["serve", ...listen, "--data-dir", dataDir, ...args]);
    await until("patchbay serve", () => serving(dataDir).pid === host.child.pid);
    return host;
  }

  async stop() {
    this.child.kill("SIGTERM");
    return await this.ended;
  }
}

/** What a process must be started with to have a keychain that is locked. */
export async function lockedKeychain(test) {
  const home = folder(test);
  const env = { HOME: home, XDG_RUNTIME_DIR: home };
  const bus = new Program(test, "dbus-daemon", ["--session", "--nofork", "--print-address"], env);
  const address = await until("the bus", () => /unix:\S+/.exec(bus.said)?.[0]);
  env.DBUS_SESSION_BUS_ADDRESS = address;
  const daemon = ["--foreground", "--unlock", "--components=secrets"];
  const keyring = new Program(test, "gnome-keyring-daemon", daemon, env);
  keyring.child.stdin.end("session");
  const collections = `['/org/freedesktop/secrets/collection/login']`;
  await until("the keychain to be locked", async () => {
    const lock = new Program(test, "gdbus", [
      ...["call", "--session", "--dest", "org.freedesktop.secrets"],
      ...["--object-path", "/org/freedesktop/secrets"],
      ...["--method", "org.freedesktop.Secret.Service.Lock", collections],
    ], env);
    return (await lock.ended) === 0 && lock.said.includes("collection/login");
  });
  return env;
}

/** Whether a process is there. */
export function lives(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A panel with a tray, and a service for notifications, for as long as the test lasts. */
export class Panel {
  #heard = [];
  #program;

  static async open(test, args = []) {
    const panel = new Panel();
    panel.#program = new Program(test, PANEL, args);
    createInterface({ input: panel.#program.child.stdout }).on("line", (line) =>
      panel.#heard.push(JSON.parse(line)),
    );
    await panel.next("ready");
    return panel;
  }

  /** The next thing of that kind, also if it came already. */
  async next(kind) {
    return until(`${kind} at the panel: ${this.#program.said}`, () => {
      const at = this.#heard.findIndex((each) => kind in each);
      return at >= 0 && this.#heard.splice(at, 1)[0][kind];
    });
  }

  /** How many of that kind have come that nobody asked for. */
  waiting(kind) {
    return this.#heard.filter((each) => kind in each).length;
  }

  tell(line) {
    this.#program.child.stdin.write(`${line}\n`);
  }

  menu() {
    this.tell("menu");
    return this.next("menu");
  }
}

/** One WebDriver session: the window with its pages. */
export class Window {
  #driver;
  #url;

  /** Opens the window on data of its own, or on `dataDir`. */
  static async open(
    test,
    { dataDir = join(folder(test), "data"), ingress = "127.0.0.1:0", args = [], env = {} } = {},
  ) {
    const window = new Window();
    window.dataDir = dataDir;
    const begin = () => window.#begin(["--data-dir", dataDir, "--ingress", ingress, ...args], env);
    try {
      await begin();
    } catch (error) {
      console.log(`no session, once more: ${error.message}`);
      await window.#driver.end();
      await begin();
    }
    test.after(() => window.#driver.end());
    await until("the page", () => window.find("//nav | //main"));
    return window;
  }

  async #begin(args, env) {
    const port = await freePort();
    this.#driver = driver(port, env);
    const base = `http://127.0.0.1:${port}`;
    await until("WebKitWebDriver", async () => (await fetch(`${base}/status`)).ok);
    const options = { binary: PROGRAM, args };
    const capabilities = { alwaysMatch: { "webkitgtk:browserOptions": options } };
    const { sessionId } = await call(`${base}/session`, "POST", { capabilities });
    this.#url = `${base}/session/${sessionId}`;
  }

  ask(method, path, body) {
    return call(this.#url + path, method, body);
  }

  async find(xpath) {
    const found = await this.ask("POST", "/element", { using: "xpath", value: xpath });
    return found[ELEMENT];
  }

  /** Waits for a text. */
  sees(text) {
    return until(`“${text}”`, async () => (await this.text()).includes(text));
  }

  text() {
    return this.run("return document.body.innerText;");
  }

  /** Clicks once, as soon as it is there. */
  async click(xpath) {
    const id = await until(xpath, () => this.find(xpath));
    await this.ask("POST", `/element/${id}/click`, {});
  }

  /** Clicks what ends it: the window may be gone before the driver has its answer. */
  async clickToEnd(xpath) {
    await until(xpath, () => this.find(xpath));
    await this.click(xpath).catch(async (error) => {
      if (!(await this.isGone())) throw error;
    });
  }

  /** Whether the user can see it: a window that is hidden knows that it is. */
  async isShown() {
    return (await this.run("return document.visibilityState;")) === "visible";
  }

  /** What the page complained about since it was loaded that nobody sees. */
  faults() {
    return this.#driver.said().split("\n").filter((line) => /\bCONSOLE (\w+ )*(ERROR|WARN)/.test(line));
  }

  /** Whether it has ended. */
  async isGone() {
    return this.text().then(
      () => false,
      () => true,
    );
  }

  async picture(name) {
    const path = join(RESULTS, name);
    mkdirSync(dirname(path), { recursive: true });
    // It is taken when the page is drawn the next time, and a page that rests is not drawn.
    await this.run("setTimeout(() => (document.body.style.opacity = '0.999'), 50);");
    writeFileSync(path, Buffer.from(await this.ask("GET", "/screenshot"), "base64"));
    await this.run("document.body.style.opacity = '';");
  }

  run(script) {
    return this.ask("POST", "/execute/sync", { script, args: [] });
  }

  /** Runs what a test does with it, and shows what was seen where it fails. */
  async watched(work) {
    try {
      return await work();
    } catch (error) {
      console.error(await this.run("return location.href + '\\n' + document.body.innerText;").catch(() => ""));
      await this.picture("window-failed.png").catch(() => {});
      throw error;
    }
  }
}

/** WebKitWebDriver with all that it starts. */
function driver(port, env) {
  const child = spawn("WebKitWebDriver", [`--port=${port}`], {
    stdio: ["ignore", "inherit", "pipe"],
    // A group of its own, so that the window ends with it.
    detached: true,
    // Without it the session waits for ever. No browser: consent comes in a window of ours.
    env: { ...process.env, TAURI_WEBVIEW_AUTOMATION: "true", BROWSER: "false", ...env },
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said += text;
    process.stderr.write(text);
  });
  const ended = once(child, "close");
  const end = async () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // All of it has ended already.
    }
    await ended;
  };
  return { end, said: () => said };
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

/** Connects the sandbox shop from the start page, allows it in its consent window, and looks on. */
export async function allowSandbox(window) {
  const main = await window.ask("GET", "/window");
  await window.click("//button[contains(., 'Open the sandbox shop')]");
  await window.click("//button[contains(., 'Open the sign-in page')]");
  await window.ask("POST", "/window", { handle: await other(window, main) });
  await window.click("//button[@value='allow']");
  await window.ask("POST", "/window", { handle: main });
  await window.click("//button[contains(., 'Watch its events')]");
}

/** The window that is not `known`. */
async function other(window, known) {
  return until("the consent window", async () =>
    (await window.ask("GET", "/window/handles")).find((handle) => handle !== known),
  );
}
