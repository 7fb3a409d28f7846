"use strict";

// Asks as often as Microsoft allows, so that nobody needs to press the button. Without this script the
// button does the same.
const form = document.getElementById("finish");
const card = document.getElementById("device");
const left = document.getElementById("left");
const ends = Number(card.dataset.ends) * 1000;
let timer;

function count() {
  const seconds = Math.max(0, Math.round((ends - Date.now()) / 1000));
  const minutes = Math.floor(seconds / 60);
  left.textContent = seconds > 0 ? " (" + minutes + " min " + (seconds % 60) + " s left)" : " (expired)";
}

function later(seconds) {
  clearTimeout(timer);
  timer = setTimeout(ask, seconds * 1000);
}

// Shows the returned page in place of this one; its scripts do not run.
function show(text, whole) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const part = whole ? "main" : "told";
  const next = page.getElementById(part);
  const now = document.getElementById(part);
  // An unchanged text must not be read aloud again by a screen reader.
  if (next && next.textContent !== now.textContent) {
    now.replaceWith(next);
  }
}

async function ask() {
  let answer;
  try {
    answer = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      credentials: "same-origin",
    });
  } catch {
    later(Number(card.dataset.interval));
    return;
  }
  if (answer.redirected) {
    window.location.replace(answer.url);
    return;
  }
  const again = answer.status === 202 || answer.status === 503;
  show(await answer.text(), !again);
  if (again) {
    later(Number(answer.headers.get("Retry-After")) || Number(card.dataset.interval));
  } else {
    clearInterval(clock);
  }
}

form.addEventListener("submit", () => clearTimeout(timer));
const clock = setInterval(count, 1000);
count();
later(Number(card.dataset.interval));
