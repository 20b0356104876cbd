// Reports why the page does not start: a module that fails to load cannot do so itself.

const say = (text) => { document.getElementById("state").textContent = text; };

addEventListener("error", ({ target, message }) => {
  if (location.protocol === "file:") say("Open this page from a web server: python3 -m http.server");
  else say(target === window && message !== "Script error." ? message : "A file of this page is missing or damaged");
}, true); // loading errors do not bubble
addEventListener("unhandledrejection", ({ reason }) => say(reason?.message ?? String(reason)));
