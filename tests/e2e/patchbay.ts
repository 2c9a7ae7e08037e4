// A Patchbay of its own for each test: the headless host on a data directory that is thrown away.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { test as base, expect, type Page } from "@playwright/test";

const PROGRAM = process.env.PATCHBAY ?? "patchbay";

export class Patchbay {
  private child!: ChildProcess;
  private readonly lines: string[] = [];
  /** Logs in once. */
  loginUrl = "";

  private constructor(
    /** All that it keeps: its data, and the key of its vault. */
    readonly folder: string,
    private readonly more: readonly string[],
  ) {}

  /** `more` is what else `patchbay serve` is told. */
  static async start(more: readonly string[] = []): Promise<Patchbay> {
    const patchbay = new Patchbay(mkdtempSync(join(tmpdir(), "patchbay-e2e-")), more);
    execFileSync(PROGRAM, ["vault", "init", "--vault-key-file", patchbay.vaultKey]);
    await patchbay.serve();
    return patchbay;
  }

  private async serve(): Promise<void> {
    const listen = ["--api", "127.0.0.1:0", "--ingress", "127.0.0.1:0"];
    const vault = ["--vault", "file", "--vault-key-file", this.vaultKey];
    const data = ["--data-dir", this.dataDir];
    const args = ["serve", "--sandbox", ...listen, ...vault, ...data, ...this.more];
    const child = spawn(PROGRAM, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    this.loginUrl = await new Promise<string>((ready, ended) => {
      // Both are read to the end, so that the program never writes into a closed pipe.
      createInterface({ input: child.stderr! }).on("line", (line) => this.lines.push(line));
      createInterface({ input: child.stdout! }).on("line", (line) => {
        this.lines.push(line);
        const url = /http:\S+#login=\S+/.exec(line)?.[0];
        if (url) ready(url);
      });
      child.once("exit", () => ended(new Error("patchbay serve ended before it was ready")));
    });
  }

  private async end(): Promise<void> {
    const ended = new Promise((done) => this.child.once("exit", done));
    this.child.kill("SIGTERM");
    await ended;
  }

  /** Ends it, and starts it again on the same data after `meanwhile`. */
  async restart(meanwhile: () => void): Promise<void> {
    await this.end();
    meanwhile();
    await this.serve();
  }

  private get vaultKey(): string {
    return join(this.folder, "vault.key");
  }

  /** What it has printed and logged. */
  get log(): string {
    return this.lines.join("\n");
  }

  /** What the system shows to everybody of how it was started; empty where it shows nothing. */
  get startedWith(): string {
    const path = `/proc/${this.child.pid}`;
    return existsSync(path)
      ? ["cmdline", "environ"].map((each) => readFileSync(join(path, each), "latin1")).join("\n")
      : "";
  }

  get dataDir(): string {
    return join(this.folder, "data");
  }

  /** Asks or tells the management API, as the command line does. */
  async api(method: string, path: string, body?: unknown): Promise<any> {
    const serving = JSON.parse(readFileSync(join(this.dataDir, "serve.json"), "utf8"));
    const token = readFileSync(serving.token_file, "utf8").trim();
    const answer = await fetch(serving.api_url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    const text = await answer.text();
    return text === "" ? undefined : JSON.parse(text);
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A page that fails its test when anything is wrong that a person might not see. */
function watched(page: Page, faults: string[], expected: RegExp | null): Page {
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() !== "error" || expected?.test(message.text())) return;
    faults.push(`console: ${message.text()}`);
  });
  return page;
}

interface Fixtures {
  /** What the browser complains of in a test that is about refusals. */
  expected: RegExp | null;
  patchbay: Patchbay;
  /** Logged in, at the first page. */
  app: Page;
}

export const test = base.extend<Fixtures>({
  expected: [null, { option: true }],
  patchbay: async ({}, use) => {
    const patchbay = await Patchbay.start();
    await use(patchbay);
    await patchbay.stop();
  },
  app: async ({ page, patchbay, expected }, use) => {
    const faults: string[] = [];
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    await watched(page, faults, expected).goto(patchbay.loginUrl);
    // Whoever left before the code was spent would not be logged in.
    await page.getByRole("navigation").waitFor();
    await use(page);
    expect(faults).toEqual([]);
  },
});

export { expect };
