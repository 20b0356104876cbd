// Says why the page does not begin: where a module cannot be loaded, none of its lines could say so.

const say = (text) => { document.getElementById("state").textContent = text; };

addEventListener("error", ({ target, message }) => {
  if (location.protocol === "file:") say("Open this page from a web server: python3 -m http.server");
  else say(target === window && message !== "Script error." ? message : "A file of this page is missing or damaged");
}, true); // errors of loading do not bubble
addEventListener("unhandledrejection", ({ reason }) => say(reason?.message ?? String(reason)));
