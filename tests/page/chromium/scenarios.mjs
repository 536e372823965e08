// What people do on the page, in a real browser. One argument, JSON:
//
// story   address of a keywatch that shows the theft from Bybit, storyToken an operator's token of it
// run     address of a `keywatch run` with ten thousand incidents, whose operators' tokens are their names, and whose source
//         sends with the token `token`; a session that it presents opens an incident
//
// A second argument is the one scenario to go through. Writes a line for each; ends with 1 where one does not hold.
import assert from "node:assert/strict";
import { PATIENCE_MS, launch, noBarriers, overflow, signIn } from "./browser.mjs";

const given = JSON.parse(process.argv[2]);

// Tabs after which one gives up looking for a button.
const TABS_MAX = 40;

// All of it takes less than a minute on a machine that does nothing else; one that is that slow is told so.
const ALL_MS_MAX = 300_000;

// How long a page of the board may take until it stands there, and the longest that scrolling may stand still.
const BOARD_MS_MAX = 20_000;
const FRAME_MS_MAX = 5_000;

// Tells keywatch of a session.
async function presented(session, actor) {
  const event_time = new Date().toISOString();
  const body = JSON.stringify({ id: session, kind: "session.presented", event_time, actor, session, asn: 1 });
  const headers = { authorization: "Bearer token", "content-type": "application/x-ndjson" };
  const answer = await fetch(`${given.run}/v1/ingest/events`, { method: "POST", headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

// The link of the board to the incident about somebody.
const about = (page, actor) => page.locator("a.entry", { hasText: `Something about ${actor}` });

// Loads a page again and again until it shows a text.
async function until(page, address, text) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    await page.goto(address);
    if ((await page.getByText(text).count()) > 0) return;
    assert.ok(Date.now() < end, `${address} never shows \`${text}\``);
    await page.waitForTimeout(250);
  }
}

// The story begins when somebody looks, and takes its time: it goes on while the others are gone through.
async function theStoryBegins({ window }) {
  const page = await window();
  await page.goto(`${given.story}/page/sign-in`);
  await noBarriers(page, "sign-in");
  await signIn(page, given.story, given.storyToken);
}

// What was found of Bybit stands on its timeline, and there is no barrier on any page of it.
async function theStoryOfBybit({ window }) {
  const page = await window();
  await signIn(page, given.story, given.storyToken);
  await page.goto(`${given.story}/page?severity=critical`);
  const incident = new URL(await page.locator("a.entry").first().getAttribute("href"), given.story).href;
  await until(page, incident, "401,346 ETH");
  const row = page.locator("li.row", { has: page.locator("time", { hasText: "05:42:40" }) }).filter({ hasText: /MISMATCH/ });
  assert.equal(await row.count(), 1, "one row has the signature that does not fit");
  const found = page.locator("li.row", { has: page.locator("time", { hasText: "05:42:40" }) }).filter({ hasText: /FOUND/ });
  assert.equal(await found.count(), 1, "and the first alert of the incident stands there");
  const values = await row.locator("dl.differs dd").allTextContents();
  assert.ok(values.includes("0x1f4eb0a903619ac168b19a82f1a6e2e426522211"), `under whose name: ${values}`);
  assert.ok(values.includes("0x9ed84723885128072e4eebe53d2c71cac23ceb01"), `who signed: ${values}`);
  // Both stand beside each other, not one below the other.
  const [one, other] = await row.locator("dl.differs > div").evaluateAll((sides) => sides.map((side) => side.getBoundingClientRect().top));
  assert.equal(one, other);
  const summary = await page.locator("dl.summary").innerText();
  for (const said of ["denied at pdp", "8 h 32 min 42 s", "before money left"]) assert.ok(summary.includes(said), `no \`${said}\` in ${summary}`);
  await noBarriers(page, "incident");
  for (const place of ["", "/responses", "/silences", "/rules", "/rules/signing/confirmation_mismatch", "/coverage"]) {
    await page.goto(`${given.story}/page${place}`);
    await noBarriers(page, place || "board");
  }
  await page.setViewportSize({ width: 390, height: 844 });
  for (const address of [`${given.story}/page`, incident, `${given.story}/page/rules`, `${given.story}/page/coverage`]) {
    await page.goto(address);
    assert.equal(await overflow(page), 0, `${address} is wider than a phone`);
  }
  // There the board is laid out as blocks, and is a table all the same for who listens.
  await page.goto(`${given.story}/page`);
  const { nodes } = await (await page.context().newCDPSession(page)).send("Accessibility.getFullAXTree");
  const named = (role) => nodes.filter((node) => node.role?.value === role).map((node) => node.name?.value ?? "");
  assert.ok(named("columnheader").includes("What happened"), `columns: ${named("columnheader")}`);
  assert.ok(named("cell").some((name) => name.includes("critical")), `cells: ${named("cell")}`);
}

// A board that is looked at shows what comes in, without being loaded again.
async function aLiveUpdateArrives({ window }) {
  const page = await window();
  await signIn(page, given.run, "ann");
  await page.evaluate(() => { globalThis.looked = "at"; });
  await page.getByRole("link", { name: "Older" }).focus();
  await presented("s-live-1", "newcomer");
  await about(page, "newcomer").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Older", "the focus stays where it was");
  await page.locator("#heard", { hasText: "New: low Something about newcomer" }).waitFor({ state: "attached" });
  assert.equal(await page.evaluate(() => globalThis.looked), "at", "the page was loaded anew");
  // Keys of one letter can be turned off, and stay so.
  const goes = async () => {
    await page.getByRole("heading", { level: 1 }).click();
    await page.keyboard.press("j");
    return page.evaluate(() => document.activeElement.classList.contains("entry"));
  };
  assert.ok(await goes(), "j goes to the first incident");
  await page.getByLabel("go through a list").uncheck();
  await page.reload();
  assert.ok(!(await goes()), "j does nothing once it is turned off");
  await page.getByLabel("go through a list").check();
  await page.goto(`${given.run}/page/sources`);
  await page.getByRole("cell", { name: "idp" }).waitFor();
  await noBarriers(page, "sources");
}

// From the board to the button by the keyboard alone, and the incident is taken up.
async function anAnalystAcknowledgesByTheKeyboardAlone({ window }) {
  await presented("s-keys-1", "keyboarder");
  const page = await window();
  await page.goto(`${given.run}/page`);
  // The field has the focus.
  await page.keyboard.type("ann");
  await page.keyboard.press("Enter");
  await about(page, "keyboarder").waitFor();
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  await page.keyboard.press("j");
  for (let step = 0; !(await focused()).includes("keyboarder"); step += 1) {
    assert.ok(step < TABS_MAX, "j does not reach the incident");
    await page.keyboard.press("j");
  }
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Something about keyboarder" }).waitFor();
  for (let step = 0; (await focused()) !== "Acknowledge"; step += 1) {
    assert.ok(step < TABS_MAX, `Tab does not reach the button; the focus is on \`${await focused()}\``);
    await page.keyboard.press("Tab");
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "one sees where the focus is");
  await page.keyboard.press("Enter");
  await page.getByText("ann saw it at").waitFor();
  assert.equal(await page.locator(".status").first().innerText(), "acknowledged");
  assert.equal(await page.getByRole("button", { name: "Acknowledge" }).count(), 0);
}

// Who may only see has no button, and the request behind it is refused.
async function aViewerCannot({ window }) {
  await presented("s-viewed-1", "viewed");
  const page = await window();
  await signIn(page, given.run, "vera");
  await about(page, "viewed").click();
  await page.getByRole("heading", { level: 1, name: "Something about viewed" }).waitFor();
  assert.deepEqual(await page.getByRole("button").allInnerTexts(), ["Sign out"]);
  const status = await page.evaluate(async () => {
    const token = document.querySelector("input[name=token]").value;
    const body = new URLSearchParams({ token });
    return (await fetch(`${location.pathname}/acknowledge`, { method: "POST", body })).status;
  });
  assert.equal(status, 403);
  await page.reload();
  assert.equal(await page.locator(".status").first().innerText(), "open");
}

// What a feed says is text wherever it stands: the browser makes no element of it and runs nothing.
async function aScriptStaysText({ window }) {
  const attack = `"><script>globalThis.caught = 1</script><img src=x onerror="globalThis.caught = 2">`;
  await presented(`s-${attack}`, attack);
  const page = await window();
  await signIn(page, given.run, "ann");
  // A long word of a title is shortened; all of it is at hand.
  const link = about(page, `"><script>`).first();
  await link.waitFor();
  assert.ok((await link.getAttribute("title")).includes(attack));
  const caught = async (where) => {
    assert.equal(await page.evaluate(() => globalThis.caught), undefined, where);
    assert.equal(await page.locator("main img, main script").count(), 0, where);
  };
  await caught("the board");
  await link.click();
  await page.getByRole("heading", { level: 1 }).filter({ hasText: "<script>" }).waitFor();
  await caught("the incident");
  await page.goto(`${given.run}/page?system=${encodeURIComponent(attack)}`);
  assert.equal(await page.getByLabel("System").inputValue(), attack);
  await caught("a filter");
}

// The board of ten thousand incidents is gone through from its first page to its last, and scrolls.
async function tenThousandScroll({ window }) {
  const page = await window();
  await signIn(page, given.run, "ann");
  const pages = await page.locator("nav.pages span").innerText();
  const [, last, total] = /of (\d+), (\d+) in all/.exec(pages).map(Number);
  assert.ok(total >= 5_000, pages);
  const still = async () => page.evaluate(async () => {
    const frame = () => new Promise((drawn) => requestAnimationFrame(drawn));
    let [longest, before] = [0, await frame()];
    while (scrollY + innerHeight < document.documentElement.scrollHeight - 1) {
      scrollBy({ top: innerHeight / 4, behavior: "instant" });
      const now = await frame();
      [longest, before] = [Math.max(longest, now - before), now];
    }
    return longest;
  });
  for (let number = 1; number <= 10; number += 1) {
    assert.equal(await page.locator("a.entry").count(), 50);
    const longest = await still();
    assert.ok(longest < FRAME_MS_MAX, `page ${number} stood still for ${longest} ms`);
    const begun = performance.now();
    await page.getByRole("link", { name: "Older" }).click();
    await page.getByText(`Page ${number + 1} of`).waitFor();
    assert.ok(performance.now() - begun < BOARD_MS_MAX, `page ${number + 1} took ${performance.now() - begun} ms`);
  }
  await page.goto(`${given.run}/page?page=${last}`);
  await page.getByText(`Page ${last} of ${last}`).waitFor();
  assert.equal(await page.getByRole("link", { name: "Older" }).count(), 0);
  assert.ok((await page.locator("a.entry").count()) >= 1);
}

const scenarios = [
  theStoryBegins, aLiveUpdateArrives, anAnalystAcknowledgesByTheKeyboardAlone, aViewerCannot, aScriptStaysText, tenThousandScroll,
  theStoryOfBybit,
];
// The browser ends with this process.
setTimeout(() => {
  console.log(`does not hold: it takes longer than ${ALL_MS_MAX / 1_000} s`);
  process.exit(1);
}, ALL_MS_MAX).unref();
const chromium = await launch();
const chosen = process.argv[3];
for (const scenario of scenarios.filter(({ name }) => !chosen || name === chosen)) {
  const begun = performance.now();
  try {
    await scenario(chromium);
    console.log(`holds: ${scenario.name}, ${Math.round(performance.now() - begun)} ms`);
  } catch (error) {
    console.log(`does not hold: ${scenario.name}: ${error.stack}`);
    process.exitCode = 1;
  }
}
for (const complaint of chromium.complaints) {
  console.log(`does not hold: a page complains: ${complaint}`);
  process.exitCode = 1;
}
await chromium.browser.close();
