// Makes the pictures of docs/pictures anew. One argument, JSON:
//
// story   address of a `keywatch demo --serve` that has played the theft from Bybit, storyToken its token
// run     address of a `keywatch run` with a decision point, into which the incidents were played with `keywatch demo --to`, and
//         whose responders' token is runToken
// out     the folder to write to
//
// One response that waits is approved on the way, for a picture of both. docs/page.md says how to call it.
import { join } from "node:path";
import { launch, signIn } from "./browser.mjs";

const given = JSON.parse(process.argv[2]);

const DESK = { viewport: { width: 1280, height: 900 } };
const TALL = { viewport: { width: 1280, height: 1440 } };
const WALL = { viewport: { width: 1920, height: 1080 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const LONG_PHONE = { viewport: { width: 390, height: 1700 }, isMobile: true, hasTouch: true };

const { browser, complaints, window } = await launch();

// A window of somebody who has signed in, in light or dark.
async function signedIn(of, options) {
  const page = await window(options);
  await (of === "story" ? signIn(page, given.story, given.storyToken) : signIn(page, given.run, given.runToken));
  return page;
}

// One picture of what `open` leaves in the window.
async function picture(name, of, options, open) {
  const page = await signedIn(of, options);
  await open(page);
  await page.waitForLoadState("load");
  await page.mouse.move(0, 0);
  await page.screenshot({ path: join(given.out, `${name}.png`) });
  await page.context().close();
}

const board = (page) => page.goto(`${given.run}/page`);
const at = (path) => (page) => page.goto(`${given.run}/page/${path}`);
const dark = (options) => ({ ...options, colorScheme: "dark" });

// The incident of the theft, in the demo or in the run.
async function theft(page, url) {
  await page.goto(`${url}/page?severity=critical`);
  await page.locator("a.entry", { hasText: "Confirmation filed" }).first().click();
  await page.getByRole("heading", { name: "Timeline" }).waitFor();
}

// What keywatch did about it, from the top of the window on.
async function decisions(page) {
  await theft(page, given.run);
  await page.getByRole("heading", { name: "What keywatch did" }).evaluate((heading) => heading.scrollIntoView());
}

// The one response about a request alone is approved, so that another one still waits.
async function approveOne() {
  const page = await signedIn("run", DESK);
  await page.goto(`${given.run}/page/responses?status=proposed`);
  const waiting = page.locator("a.entry", { hasText: /^request 0xb3476d06…/ });
  if ((await waiting.count()) > 0) {
    await waiting.first().click();
    await page.getByLabel("Why approve").fill("called the owners: none of them asked for it");
    await page.getByRole("button", { name: "Approve" }).click();
    await page.waitForLoadState("load");
  }
  await page.context().close();
}

const story = (page) => theft(page, given.story);
await picture("incident", "story", TALL, story);
await picture("incident-dark", "story", dark(TALL), story);
await picture("incident-phone", "story", LONG_PHONE, story);
await picture("board", "run", DESK, board);
await picture("board-dark", "run", dark(DESK), board);
await picture("board-wide", "run", WALL, board);
await picture("board-phone", "run", PHONE, board);
await approveOne();
await picture("decisions", "run", DESK, decisions);
await picture("decisions-dark", "run", dark(DESK), decisions);
await picture("decisions-wide", "run", WALL, decisions);
await picture("decisions-phone", "run", PHONE, decisions);
await picture("rule", "run", DESK, at("rules/signing/confirmation_mismatch"));
await picture("rule-dark", "run", dark(DESK), at("rules/signing/confirmation_mismatch"));
await picture("coverage-wide", "run", WALL, at("coverage"));
await picture("coverage-phone", "run", PHONE, at("coverage"));
await browser.close();
if (complaints.length > 0) throw new Error(complaints.join("\n"));
