"use strict";

// The key goes to /session as a header: never into a URL, a form body or storage.
const form = document.getElementById("open");
const key = document.getElementById("key");
const button = document.getElementById("enter");
const message = document.getElementById("message");

function say(text) {
  message.textContent = text;
  message.hidden = false;
  key.select();
  key.focus();
}

function explain(status) {
  if (status === 401 || status === 403) {
    return "That key is not one of this app's function keys. Copy it again and try once more.";
  }
  return "The session could not be opened (" + status + "). Wait a little and try again.";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  message.hidden = true;
  button.disabled = true;
  try {
    const typed = key.value.trim();
    // A header cannot have other characters: fetch would throw, and no key has them.
    if (!/^[\x21-\x7e]+$/.test(typed)) {
      say(explain(401));
      return;
    }
    const answer = await fetch("/session", {
      method: "POST",
      headers: { "x-functions-key": typed },
      credentials: "same-origin",
      redirect: "error",
    });
    if (answer.ok) {
      key.value = "";
      window.location.replace(form.dataset.onward);
    } else {
      say(explain(answer.status));
    }
  } catch {
    say("The app did not answer. Check the connection and try again.");
  } finally {
    button.disabled = false;
  }
});
