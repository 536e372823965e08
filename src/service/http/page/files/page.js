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

async function renew(board) {
  const answer = await fetch(location.href, { credentials: "same-origin" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const newer = page.getElementById("board");
  if (!newer) return location.reload();
  const focused = document.activeElement && document.activeElement.id;
  board.replaceChildren(...newer.childNodes);
  board.dataset.seen = newer.dataset.seen;
  showLocalTimes(board);
  const again = focused && document.getElementById(focused);
  if (again) again.focus();
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

function goThroughList(event) {
  const step = { j: 1, k: -1 }[event.key];
  const writing = event.target.closest("input, textarea, select");
  if (!step || writing || event.ctrlKey || event.metaKey || event.altKey) return;
  const entries = [...document.querySelectorAll(".entry")];
  if (!entries.length) return;
  const at = entries.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : entries.length - 1) : Math.min(Math.max(at + step, 0), entries.length - 1);
  entries[next].focus();
}

showLocalTimes(document);
sayZone();
document.addEventListener("keydown", goThroughList);
const board = document.getElementById("board");
if (board) follow(board);
