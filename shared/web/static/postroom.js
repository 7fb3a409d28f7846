"use strict";

// Everything works without this file. It adds relative times, live progress and copying.

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function ago(seconds) {
  const [unit, size] = units.find((one) => Math.abs(seconds) >= one[1]) || units[3];
  return relative.format(Math.round(seconds / size), unit);
}

function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = Date.parse(time.dateTime);
    time.title = time.title || time.textContent;
    time.textContent = ago((at - Date.now()) / 1000);
  }
}

function offerCopying(root) {
  for (const button of root.querySelectorAll("button[data-copies]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copies);
      await navigator.clipboard.writeText(source.value || source.textContent);
      // The text after the label is for screen readers, and stays.
      const label = button.firstChild;
      const before = label.textContent;
      label.textContent = "Copied";
      setTimeout(() => { label.textContent = before; }, 1500);
    });
  }
}

// A page that shows unfinished work reloads itself until the work has ended.
async function follow(pause) {
  const shown = document.querySelector("[data-live]");
  if (!shown) return;
  await new Promise((resolve) => setTimeout(resolve, pause));
  try {
    const typing = shown.contains(document.activeElement) && document.activeElement.matches("input, textarea, button");
    if (!document.hidden && !typing) {
      const answer = await fetch(window.location.href, { credentials: "same-origin", redirect: "error" });
      if (answer.ok) {
        const other = new DOMParser().parseFromString(await answer.text(), "text/html");
        const newer = other.getElementById(shown.id);
        if (newer && !("live" in newer.dataset)) {
          window.location.reload();
          return;
        }
        if (newer) {
          tellTimes(newer);
          shown.replaceWith(newer);
        }
      }
    }
  } catch { /* The next request may succeed. */ }
  follow(Math.min(pause * 1.2, 15000));
}

// Makes the steps of a change to many mails, one after the other.
async function goOn(form) {
  form.querySelector("button").hidden = true;
  const fields = new URLSearchParams(new FormData(form));
  for (;;) {
    const answer = await fetch(form.getAttribute("action"), {
      method: "POST",
      body: fields,
      headers: { Accept: "application/json" },
      credentials: "same-origin",
      redirect: "error",
    });
    if (!answer.ok) break;
    const progress = await answer.json();
    for (const name of Object.keys(progress)) if (fields.has(name)) fields.set(name, progress[name]);
    for (const [name, value] of fields) form.elements[name].value = value;
    document.getElementById("bar").max = progress.total || 1;
    document.getElementById("bar").value = progress.done + progress.refused;
    document.getElementById("done").textContent = progress.done;
    document.getElementById("total").textContent = progress.total;
    document.getElementById("not").textContent = progress.refused;
    document.getElementById("why").textContent = progress.why;
    document.getElementById("some-refused").hidden = !progress.refused;
    if (progress.over) {
      form.remove();
      return;
    }
  }
  form.querySelector("button").hidden = false;
}

tellTimes(document);
offerCopying(document);
follow(1500);
const next = document.getElementById("next");
if (next) goOn(next).catch(() => { next.querySelector("button").hidden = false; });
function openTarget() {
  const target = document.getElementById(window.location.hash.slice(1));
  if (target && target.matches("details")) target.open = true;
}

window.addEventListener("hashchange", openTarget);
openTarget();
