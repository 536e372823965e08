// A headless Chromium, driven by Playwright, and axe-core in it. Knows nothing of what keywatch shows.
//
// KEYWATCH_TEST_BROWSER is the folder in which `npm ci` put both (`make tools`), KEYWATCH_TEST_CHROMIUM the browser.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";

const installed = createRequire(`${process.env.KEYWATCH_TEST_BROWSER}/`);
const { chromium } = installed("playwright-core");
const axe = readFileSync(installed.resolve("axe-core/axe.min.js"), "utf8");

// The most that any one thing is waited for.
export const PATIENCE_MS = 60_000;

// What a barrier has to be to count: everything but matters of taste.
const IMPACTS = ["critical", "serious", "moderate"];

// A browser; whatever a page complains of is collected and is an error in the end.
export async function launch() {
  const browser = await chromium.launch({
    executablePath: process.env.KEYWATCH_TEST_CHROMIUM,
    // Whoever runs tests in a container is root, where Chromium has no sandbox; it loads what keywatch serves and nothing else.
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  const complaints = [];
  // A window of somebody who has signed in nowhere yet.
  const window = async (options = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, timezoneId: "Asia/Singapore", ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    page.on("console", (message) => {
      // A refusal that a scenario asks for is no complaint.
      const refused = /Failed to load resource.*40[0-9]/.test(message.text());
      if (["error", "warning"].includes(message.type()) && !refused) complaints.push(`${page.url()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
    page.on("dialog", (dialog) => {
      complaints.push(`${page.url()}: a dialog opened: ${dialog.message()}`);
      return dialog.dismiss();
    });
    return page;
  };
  return { browser, complaints, window };
}

// Signs in with an operator's token, as a person does.
export async function signIn(page, url, token) {
  await page.goto(`${url}/page`);
  await page.getByLabel("Your token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: "Incidents" }).waitFor();
}

// Looks for barriers on the page that is shown, in light and in dark; in dark, where nothing else differs, for contrast alone.
export async function noBarriers(page, name) {
  await page.evaluate(axe);
  for (const [colorScheme, rules, least] of [["light", null, 10], ["dark", ["color-contrast"], 1]]) {
    await page.emulateMedia({ colorScheme });
    const options = { resultTypes: ["violations"], ...(rules && { runOnly: { type: "rule", values: rules } }) };
    const found = await page.evaluate((options) => axe.run(document, options), options);
    const barriers = found.violations.filter((violation) => IMPACTS.includes(violation.impact));
    const where = (node) => `${node.target}  ${node.failureSummary.replace(/\s+/g, " ")}`;
    const said = barriers.map(({ id, impact, help, nodes }) => [`${impact} ${id}: ${help}`, ...nodes.slice(0, 5).map(where)].join("\n    "));
    assert.equal(barriers.length, 0, `${name}, ${colorScheme}:\n  ${said.join("\n  ")}`);
    // What looked at nothing finds nothing.
    assert.ok(found.passes.length >= least, `${name}, ${colorScheme}: axe looked at ${found.passes.length} things`);
  }
  await page.emulateMedia({ colorScheme: null });
}

// How many pixels the page is wider than its window.
export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
