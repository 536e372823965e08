// Shows the viewer's own time beside UTC, makes the board newer when something has changed, and lets keys go through a list.
// Everything works without it.
"use strict";

function showLocalTimes(within) {
  const two = (number) => String(number).padStart(2, "0");
  for (const time of within.querySelectorAll("time[datetime]")) {
    // The browser reads milliseconds at most.
    const instant = new Date(time.dateTime.replace(/(\.\d{3})\d+/, "$1"));
    if (Number.isNaN(instant.getTime()) || instant.getTimezoneOffset() === 0 || time.querySelector(".local")) continue;
    const clock = `${two(instant.getHours())}:${two(instant.getMinutes())}:${two(instant.getSeconds())}`;
    const local = document.createElement("span");
    local.className = "local";
    local.textContent = ` (${clock})`;
    time.append(local);
  }
}

function sayZone() {
  const zone = document.getElementById("zone");
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && name && new Date().getTimezoneOffset() !== 0) zone.textContent = `; in brackets ${name}`;
}

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// What comes in within that time is told at once to who listens.
const TOLD_AFTER_MS = 2000;

const untold = [];

// Tells who does not see the board of what is new on it.
function tell(entries) {
  const isWaiting = untold.length > 0;
  for (const entry of entries) {
    const severity = entry.closest("tr").querySelector(".severity");
    untold.push(`${severity ? severity.lastChild.textContent.trim() : ""} ${entry.textContent}`.trim());
  }
  if (isWaiting || !untold.length) return;
  setTimeout(() => {
    const [newest, ...others] = untold.splice(0);
    const more = others.length ? `, and ${others.length} more` : "";
    document.getElementById("heard").textContent = `New: ${newest}${more}`;
  }, TOLD_AFTER_MS);
}

async function renew(board) {
  const answer = await fetch(location.href, { credentials: "same-origin" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const newer = page.getElementById("board");
  if (!newer) return location.reload();
  const entries = () => [...board.querySelectorAll(".entry")];
  const focused = board.contains(document.activeElement) ? document.activeElement : null;
  const [before, at] = [new Set(entries().map((entry) => entry.id)), entries().indexOf(focused)];
  board.replaceChildren(...newer.childNodes);
  board.dataset.seen = newer.dataset.seen;
  showLocalTimes(board);
  if (focused) {
    // Where what had the focus is gone, what has taken its place has it; nobody is put back to the start of the page.
    const same = focused.id && document.getElementById(focused.id);
    const after = entries();
    (same || after[Math.min(Math.max(at, 0), after.length - 1)] || document.getElementById("content")).focus();
  }
  // On a later page of the list, what is pushed there by something new is not new.
  const isFirst = Number(new URLSearchParams(location.search).get("page") || 1) <= 1;
  if (isFirst) tell(entries().filter((entry) => !before.has(entry.id)));
}

async function follow(board) {
  const news = document.getElementById("news");
  for (;;) {
    try {
      const answer = await fetch(`/page/changes?seen=${encodeURIComponent(board.dataset.seen)}`, { credentials: "same-origin" });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(answer.status);
      const { changed } = await answer.json();
      // Who is choosing a filter is not disturbed.
      if (changed && !board.querySelector("form :focus")) await renew(board);
      else if (changed) await sleep(2000);
      news.textContent = "";
    } catch {
      news.textContent = "No connection to keywatch. This board may be old.";
      await sleep(3000);
    }
  }
}

// Keys of one letter can be turned off: who dictates says letters all day (WCAG 2.2, 2.1.4).
const KEPT = "keywatch-keys";
const keys = document.querySelector("#keys input");
const keysAreOn = () => !keys || keys.checked;

function offerKeys() {
  if (!keys) return;
  // A browser that keeps nothing asks anew.
  try {
    keys.checked = localStorage.getItem(KEPT) !== "off";
  } catch {
    keys.checked = true;
  }
  keys.addEventListener("change", () => {
    try {
      localStorage.setItem(KEPT, keys.checked ? "on" : "off");
    } catch {
      // It holds for this page.
    }
  });
  document.getElementById("keys").hidden = false;
}

function goThroughList(event) {
  const step = { j: 1, k: -1 }[event.key];
  const writing = event.target.closest("input, textarea, select");
  if (!step || !keysAreOn() || writing || event.ctrlKey || event.metaKey || event.altKey) return;
  const entries = [...document.querySelectorAll(".entry")];
  if (!entries.length) return;
  const at = entries.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : entries.length - 1) : Math.min(Math.max(at + step, 0), entries.length - 1);
  entries[next].focus();
}

showLocalTimes(document);
sayZone();
offerKeys();
document.addEventListener("keydown", goThroughList);
const board = document.getElementById("board");
if (board) follow(board);
