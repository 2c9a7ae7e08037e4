// Planted secrets, and everything in which they could be found afterwards: all that a page is told, shows,
// keeps or copies, and all that the program says and writes.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import type { BrowserContext, Download, Page } from "@playwright/test";

/** What they all begin with. */
const BEGIN = "cnry";

/** How a value can be written: as it is, in hexadecimal, in base64 wherever it begins. */
function forms(value: string): string[] {
  const bytes = Buffer.from(value);
  const shifted = [0, 1, 2].flatMap((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64url");
    const [from, to] = [Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6)];
    const part = encoded.slice(from, to);
    return [part, part.replaceAll("-", "+").replaceAll("_", "/")];
  });
  return [value, bytes.toString("hex"), ...shifted];
}

/** What is planted, by what it is. */
export class Planted {
  private readonly all = new Map<string, string>();
  private readonly begins = forms(BEGIN);

  /** Text that stands nowhere else. */
  plant(name: string): string {
    const number = String(this.all.size).padStart(2, "0");
    // What makes it another one stands where every way of writing it shows it.
    const value = `${BEGIN}${number}${name}${process.pid.toString(16).padStart(8, "0")}`;
    this.note(name, value);
    return value;
  }

  /** One that is made of another. */
  note(name: string, value: string): void {
    this.all.set(`${name}#${this.all.size}`, value);
  }

  /** Those that are in this text, however they are written. */
  foundIn(text: string): string[] {
    if (!this.begins.some((form) => text.includes(form))) return [];
    return [...this.all]
      .filter(([, value]) => forms(value).some((form) => text.includes(form)))
      .map(([name]) => name);
  }
}

/** A provider on loopback, and all that it was sent. It says again what it was sent, as some do. */
export class Provider {
  readonly seen: string[] = [];

  private constructor(
    private readonly server: Server,
    private readonly good: { secret: string },
  ) {}

  /** It lets in whoever knows `secret`, however that is sent. */
  static async open(secret: string): Promise<Provider> {
    const good = { secret };
    const server = createServer((request, answer) => void provider.answer(request, answer));
    const provider = new Provider(server, good);
    await new Promise<void>((listens) => server.listen(0, "127.0.0.1", listens));
    return provider;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  /** Nobody is let in any more. */
  lockOut(): void {
    this.good.secret = "nobody knows this one";
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async answer(
    request: IncomingMessage,
    answer: import("node:http").ServerResponse,
  ): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const head = [`${request.method} ${request.url}`, ...request.rawHeaders].join("\n");
    const raw = `${head}\n${Buffer.concat(chunks).toString()}`;
    this.seen.push(raw);

    const known = forms(this.good.secret).some((form) => raw.includes(form));
    const said = raw.replaceAll("\n", " ");
    const body = !known
      ? { message: `no good: ${said}`, error: { message: `no good: ${said}` } }
      : request.url?.startsWith("/me")
        ? { name: "Bell & Sons" }
        : { items: [{ id: 1, total: "19.90" }] };
    answer.writeHead(known ? 200 : 401, {
      "content-type": "application/json",
      "x-echo": encodeURI(said),
      "set-cookie": `last=${encodeURIComponent(said)}`,
    });
    answer.end(JSON.stringify(body));
  }
}

/** One thing that was said or kept, and where. */
interface Said {
  where: string;
  text: string;
}

/** Listens to a browser, from before its first page on. */
export class Watch {
  private readonly said: Said[] = [];
  private readonly open: Promise<unknown>[] = [];

  private constructor(
    private readonly context: BrowserContext,
    private readonly planted: Planted,
  ) {}

  static async begin(page: Page, planted: Planted): Promise<Watch> {
    const context = page.context();
    const watch = new Watch(context, planted);
    // A page is looked at while it is whole; what is shown for a moment alone is told by itself.
    await context.exposeBinding("patchbayShown", (_source, text: string) =>
      watch.note("what a page showed", text),
    );
    await context.addInitScript(reportWhatIsShown, BEGIN);
    context.on("console", (message) => watch.note("the console", message.text()));
    context.on("request", (request) => watch.note("an address that was asked", request.url()));
    context.on("response", (response) => {
      const where = `the answer of ${new URL(response.url()).pathname}`;
      watch.open.push(
        (async () => {
          watch.note(where, JSON.stringify(await response.headersArray()));
          // It goes on for as long as the page does, and is listened to below.
          if (response.headers()["content-type"]?.startsWith("text/event-stream")) return;
          watch.note(where, (await response.body()).toString("latin1"));
        })().catch(() => {}),
      );
    });
    context.on("page", (opened) => void watch.attend(opened));
    await watch.attend(page);
    return watch;
  }

  /** Notes what does not pass through a page. */
  note(where: string, text: string): void {
    this.said.push({ where, text });
  }

  /** How often something was noted there. */
  count(where: string): number {
    return this.said.filter((each) => each.where.startsWith(where)).length;
  }

  /** Notes what a page shows and keeps now. */
  async look(page: Page): Promise<void> {
    const where = new URL(page.url()).pathname;
    this.note(`the address of ${where}`, page.url());
    this.note(`the page ${where}`, await page.content());
    const kept = await page.evaluate(async () => {
      const asked = <T>(request: IDBRequest<T>) =>
        new Promise<T>((done) => (request.onsuccess = () => done(request.result)));
      const databases: unknown[] = [];
      for (const { name } of await indexedDB.databases()) {
        const database = await asked(indexedDB.open(name!));
        for (const store of database.objectStoreNames)
          databases.push(await asked(database.transaction(store).objectStore(store).getAll()));
        database.close();
      }
      const fields = document.querySelectorAll<HTMLInputElement>("input, textarea");
      return {
        typed: [...fields].map((it) => it.value),
        browser: [{ ...localStorage }, databases, document.cookie],
        tab: [{ ...sessionStorage }, history.state as unknown, document.title, window.name],
      };
    });
    this.note(`the fields of ${where}`, kept.typed.join("\n"));
    this.note("the memory of a tab", JSON.stringify(kept.tab));
    this.note("the memory of the browser", JSON.stringify(kept.browser));
    this.note("a cookie", JSON.stringify(await this.context.cookies()));
  }

  /** Notes what was copied, and returns it. */
  async clipboard(page: Page): Promise<string> {
    const text = await page.evaluate(() => navigator.clipboard.readText());
    this.note("the clipboard", text);
    return text;
  }

  async download(download: Download): Promise<void> {
    this.note("the name of a file", download.suggestedFilename());
    this.note("a file that was saved", readFileSync(await download.path(), "latin1"));
  }

  /** Where planted secrets were found. */
  async leaks(): Promise<string[]> {
    await Promise.all(this.open);
    const leaks = new Set<string>();
    for (const { where, text } of this.said)
      for (const name of this.planted.foundIn(text))
        leaks.add(`${name} in ${where}: ${around(text, this.planted)}`);
    return [...leaks];
  }

  /** Listens to what has no event of its own: streams, and what is sent by socket. */
  private async attend(page: Page): Promise<void> {
    page.on("framenavigated", (frame) => this.note("the address of a page", frame.url()));
    page.on("websocket", (socket) => {
      socket.on("framereceived", ({ payload }) => this.note("a socket", payload.toString()));
    });
    const devtools = await this.context.newCDPSession(page).catch(() => null);
    if (!devtools) return;
    devtools.on("Network.responseReceived", ({ requestId, response }) => {
      if (response.mimeType !== "text/event-stream") return;
      devtools
        .send("Network.streamResourceContent", { requestId })
        .then(({ bufferedData }) => this.note("the stream of changes", decoded(bufferedData)))
        .catch(() => {});
    });
    devtools.on("Network.dataReceived", ({ data }) => {
      if (data) this.note("the stream of changes", decoded(data));
    });
    await devtools.send("Network.enable").catch(() => {});
  }
}

const decoded = (base64: string) => Buffer.from(base64, "base64").toString();

/** Runs in each page: tells whatever is written into it that looks like something planted. */
function reportWhatIsShown(begin: string): void {
  const tell = (window as unknown as { patchbayShown: (text: string) => void }).patchbayShown;
  const look = (text: string | null | undefined) => {
    if (text?.includes(begin)) tell(text);
  };
  const observer = new MutationObserver((changes) => {
    for (const { target, oldValue, attributeName, addedNodes } of changes) {
      // What is there no longer was seen all the same.
      look(oldValue);
      look(attributeName ? (target as Element).getAttribute(attributeName) : target.nodeValue);
      for (const node of addedNodes) look(node instanceof Element ? node.outerHTML : node.nodeValue);
    }
  });
  observer.observe(document, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeOldValue: true,
    characterData: true,
    characterDataOldValue: true,
  });
}

/** The surroundings of what was found, for whoever reads the failure. */
function around(text: string, planted: Planted): string {
  const lines = text.split("\n").filter((line) => planted.foundIn(line).length > 0);
  return (lines[0] ?? "").trim().slice(0, 300);
}

/** Files in a folder that hold something planted. */
export function leaksInFiles(folder: string, planted: Planted): { files: number; leaks: string[] } {
  let files = 0;
  const leaks: string[] = [];
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const path = join(folder, name);
    // One that is there for a moment alone may be gone.
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) continue;
    files += 1;
    const found = planted.foundIn(readFileSync(path, "latin1"));
    leaks.push(...found.map((secret) => `${secret} in the file ${name}`));
  }
  return { files, leaks };
}
