"use strict";
// Requests a frame, draws it, requests the next: a slow page gets fewer frames, never older ones.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const MINUTE = 60;
const NAMED = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "unsure"];
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
let hello = { labels: [], notice: [] };
let socket = null;
let tries = 0;
let asked = false; // a frame is requested
let paused = false;
let last = null; // the newest message
let lastFrame = null; // the newest frame's predictions

function hue(label) {
  return NAMED.includes(label) ? label : String(Math.max(0, hello.labels.indexOf(label)) % 7);
}

function make(name, about = {}, ...content) {
  const made = about.svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(about)) if (key !== "svg") made.setAttribute(key, value);
  made.append(...content);
  return made;
}
const shape = (name, about, ...content) => make(name, { svg: true, ...about }, ...content);

function state(kind, text) {
  if ($("state").textContent === text) return; // screen readers announce each change
  $("state").dataset.state = kind;
  $("state").textContent = text;
}

// ---- connection

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/frames`);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", async (event) => {
    try {
      if (typeof event.data === "string") greet(JSON.parse(event.data));
      else await take(event.data);
    } finally { // one broken frame must not stop the next
      asked = false;
      ask();
    }
  });
  socket.addEventListener("close", lost);
}

function ask() {
  if (paused || asked || socket.readyState !== WebSocket.OPEN) return;
  asked = true;
  socket.send("next");
}

async function lost(event) {
  state("lost", event.code === 1013 ? "Too many viewers; waiting for a place" : "Connection lost; reconnecting");
  try {
    const answer = await fetch("/live.js"); // detects an expired token
    if (answer.status === 401) return state("lost", "The token is no longer valid. Open the address that edgefer printed");
  } catch { /* the server does not respond */ }
  setTimeout(connect, Math.min(5000, 400 * 2 ** tries++));
}

function greet(about) {
  hello = about;
  asked = false;
  tries = 0;
  lastFrame = null;
  if (paused) state("paused", "Paused");
  $("source").textContent = about.source;
  $("about").textContent = `${about.bundle}, ${about.network} on ${about.device}. Frames are shown and forgotten.`;
  for (const list of ["notice-lines", "notice-again"]) $(list).replaceChildren(...about.notice.map((line) => make("li", {}, line)));
  $("key").replaceChildren(...[...about.labels, "unsure"].map((label) =>
    make("li", {}, make("span", { class: `swatch ${label}`, "data-hue": hue(label) }), label)));
}

async function take(data) {
  if (paused) return; // requested before the pause
  const length = new DataView(data).getUint32(0);
  last = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const pixels = new Uint8Array(data, 4 + length);
  if (last.frame) {
    lastFrame = last.frame;
    // Decoding fails if memory is short: the labels are still shown.
    const picture = await createImageBitmap(new Blob([pixels], { type: "image/jpeg" })).catch(() => null);
    if (!document.hidden) await new Promise((done) => requestAnimationFrame(done));
    if (picture) drawPicture(picture);
    drawBoxes(lastFrame);
    $("cover").hidden = !$("screen").classList.contains("hidden");
  }
  if (paused) return;
  if (!last.running) state("ended", "The source has ended");
  else if (!last.figures.connected) state("lost", "Camera disconnected; reconnecting");
  else if (lastFrame) state("live", "Live");
  panels();
}

// ---- the picture

function drawPicture(picture) {
  const canvas = $("picture");
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    [canvas.width, canvas.height] = [picture.width, picture.height];
    $("screen").style.setProperty("--ratio", picture.width / picture.height);
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
}

function drawBoxes(frame) {
  const boxes = $("boxes");
  boxes.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  const size = 15 * frame.width / Math.max(1, boxes.clientWidth); // 15 px on the screen
  boxes.style.fontSize = `${size}px`;
  boxes.replaceChildren(...frame.faces.map((face) => {
    const { left, top, width, height } = face.box;
    const place = { x: left, y: top, width, height, rx: size / 4 };
    const words = `${face.track}  ${face.label}${face.label === "unsure" ? "" : ` ${percent(face.confidence)}`}`;
    const long = (words.length * 0.56 + 1) * size;
    const high = 1.6 * size;
    const x = Math.max(0, Math.min(left, frame.width - long));
    const y = top >= high ? top - high : Math.min(top + height, frame.height - high);
    return shape("g", { "data-hue": hue(face.label), "data-track": face.track },
      shape("rect", { class: "under", ...place }), shape("rect", { class: `box ${face.label}`, ...place }),
      shape("rect", { class: "chip", x, y, width: long, height: high, rx: size / 4 }),
      shape("text", { x: x + size / 2, y: y + 1.12 * size }, words));
  }));
  const told = inWords(frame);
  if (boxes.getAttribute("aria-label") !== told) boxes.setAttribute("aria-label", told);
}

function inWords(frame) {
  if (!frame.faces.length) return "No face in the picture";
  const each = frame.faces.map((face) => `face ${face.track} ${face.label === "unsure" ? "is unsure" : `looks ${face.label}`}`);
  return `${frame.faces.length === 1 ? "One face" : `${frame.faces.length} faces`}: ${each.join(", ")}`;
}

// ---- everything else, a few times a second

let drawn = 0;
function panels() {
  const now = performance.now();
  if (now - drawn < 200) return;
  drawn = now;
  if (lastFrame) {
    showFaces(lastFrame);
    showStrip(lastFrame.time);
  }
  showFigures(last.figures);
  showChanges(last.changes);
}

const cards = new Map();
function showFaces(frame) {
  $("nobody").hidden = frame.faces.length > 0;
  for (const track of [...cards.keys()]) {
    if (frame.faces.some((face) => face.track === track)) continue;
    cards.get(track).card.remove();
    cards.delete(track);
  }
  for (const face of frame.faces) {
    if (!cards.has(face.track)) addCard(face);
    const { card, label, more, rows, notes } = cards.get(face.track);
    card.dataset.hue = hue(face.label);
    label.textContent = face.label;
    more.textContent = `face ${face.track}, for ${spoken(frame.time - face.since)}`;
    const best = Object.entries(face.probabilities).sort((one, two) => two[1] - one[1])[0][0];
    for (const [name, { term, bar, number }] of rows) {
      bar.style.setProperty("--share", face.probabilities[name] ?? 0);
      number.textContent = percent(face.probabilities[name] ?? 0);
      term.classList.toggle("first", name === best);
    }
    notes.textContent = face.label === "unsure" ? "Low confidence: let a person decide." : face.notes.length ? `Less certain: ${face.notes.join(", ")}.` : "";
    notes.hidden = !notes.textContent;
  }
}

function addCard(face) {
  const [label, more, notes] = [make("span"), make("small"), make("p")];
  const rows = new Map(hello.labels.map((name) => {
    const [term, bar, number] = [make("dt", {}, name), make("i", { "data-hue": hue(name) }), make("b")];
    number.style.fontWeight = "inherit";
    return [name, { term, bar, number, value: make("dd", {}, make("span", {}, bar, number)) }];
  }));
  const bars = make("dl", { class: "bars" }, ...[...rows.values()].flatMap(({ term, value }) => [term, value]));
  const card = make("li", {}, make("h3", {}, label, more), bars, notes);
  cards.set(face.track, { card, label, more, rows, notes });
  $("faces").append(card);
}

const spoken = (seconds) => (seconds < 90 ? `${Math.max(0, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`);

function showStrip(now) {
  const strip = $("strip");
  const width = Math.max(200, strip.clientWidth);
  const tracks = [...new Set(last.strip.map((each) => each[0]))].slice(-6);
  const [row, start, foot] = [30, 56, 22];
  const height = Math.max(1, tracks.length) * row + foot;
  const x = (time) => start + (width - start - 8) * (1 - (now - time) / MINUTE);
  const parts = [shape("defs", {}, shape("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    shape("line", { class: "hatched", x1: 0, y1: 0, x2: 0, y2: 6 })))];
  for (const ago of [60, 45, 30, 15, 0]) {
    parts.push(shape("line", { class: "grid", x1: x(now - ago), x2: x(now - ago), y1: 0, y2: height - foot }));
    parts.push(shape("text", { x: x(now - ago), y: height - 7, "text-anchor": ago ? "middle" : "end" }, ago ? `−${ago} s` : "now"));
  }
  parts.push(...tracks.map((track, place) => shape("text", { class: "row", x: 8, y: place * row + 20 }, `face ${track}`)));
  for (const [track, label, from, to] of last.strip) {
    const place = tracks.indexOf(track);
    const [left, right] = [Math.max(start, x(from)), x(to)];
    if (place < 0 || right < start) continue;
    const long = Math.max(1.5, right - left);
    const about = { x: left, y: place * row + 4, width: long, height: row - 8, rx: 2 };
    const fits = label !== "unsure" && long > label.length * 7.2 + 10;
    parts.push(shape("g", { "data-hue": hue(label) }, shape("rect", { class: `seg ${label}`, ...about }, shape("title", {}, `face ${track}: ${label}, ${(to - from).toFixed(1)} s`)),
      ...(fits ? [shape("text", { class: "in", x: left + 6, y: place * row + 20 }, label)] : [])));
  }
  strip.setAttribute("viewBox", `0 0 ${width} ${height}`);
  strip.replaceChildren(...parts);
  const told = tracks.map((track) => {
    const seen = {};
    for (const [each, label, from, to] of last.strip) if (each === track) seen[label] = (seen[label] ?? 0) + to - from;
    return `face ${track}: ${Object.entries(seen).sort((one, two) => two[1] - one[1]).map(([label, seconds]) => `${label} ${Math.round(seconds)} s`).join(", ")}`;
  });
  strip.setAttribute("aria-label", told.length ? told.join("; ") : "No face in the last minute");
}

const FIGURES = [
  ["Answered", (all) => all.fps_judged.toFixed(1), "frames a second"],
  ["From the camera", (all) => all.fps_in.toFixed(1), "frames a second"],
  ["Capture to answer", (all) => ms(all.p50_ms), "median"],
  ["Slowest of 100", (all) => ms(all.p99_ms), "99th percentile"],
  ["Dropped", (all) => all.dropped.toLocaleString("en"), (all) => `of ${all.captured.toLocaleString("en")} frames`],
  ["Reconnected", (all) => String(all.reconnects), "times"],
];
const ms = (value) => (value === null ? "-" : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);
const values = FIGURES.map(([name, , under]) => {
  const [value, note] = [make("dd", {}, "-"), make("dd", {}, typeof under === "string" ? under : "")];
  $("figures").append(make("div", { class: "card" }, make("dt", {}, name), value, note));
  return [value, note];
});
function showFigures(figures) {
  FIGURES.forEach(([, value, under], place) => {
    values[place][0].textContent = value(figures);
    if (typeof under !== "string") values[place][1].textContent = under(figures);
  });
}

let told = "";
function showChanges(changes) {
  const newest = JSON.stringify(changes.at(-1) ?? null);
  if (newest === told) return;
  told = newest;
  const list = $("changes");
  list.replaceChildren(...changes.toReversed().map((change) => make("li", {},
    make("time", { datetime: new Date(1000 * change.captured_at).toISOString() }, new Date(1000 * change.captured_at).toLocaleTimeString()),
    make("span", {}, sentence(change)))));
  if (changes.length) announce(sentence(changes.at(-1)));
}

function sentence(change) {
  const who = `Face ${change.track}`;
  const looks = change.label === "unsure" ? "unsure" : `${change.label}, ${percent(change.confidence)}`;
  if (change.event === "left") return `${who} left`;
  if (change.event === "appeared") return `${who} appeared: ${looks}`;
  return `${who}: ${change.before} to ${looks}`;
}

// Screen readers announce the newest change, at most every three seconds.
let pending = "";
let quiet = false;
function announce(text) {
  if ($("tell").getAttribute("aria-pressed") !== "true") return;
  pending = text;
  if (quiet) return;
  quiet = true;
  $("said").textContent = pending;
  pending = "";
  setTimeout(() => {
    quiet = false;
    if (pending) announce(pending);
  }, 3000);
}

// ---- buttons

function pressed(button, then) {
  $(button).addEventListener("click", () => {
    const on = $(button).getAttribute("aria-pressed") !== "true";
    $(button).setAttribute("aria-pressed", on);
    then(on);
  });
}
pressed("pause", (on) => {
  paused = on;
  if (on) state("paused", "Paused");
  else {
    state("waiting", "Connecting");
    ask();
  }
});
pressed("hide", (on) => {
  $("screen").classList.toggle("hidden", on);
  $("cover").textContent = on ? "The picture is hidden" : "Waiting for the first frame";
  $("cover").hidden = !on && lastFrame !== null;
});
pressed("tell", () => {});

const KNOWN = "edgefer-notice";
$("understood").addEventListener("click", () => {
  sessionStorage.setItem(KNOWN, "read");
  $("notice").hidden = true;
  $("pause").focus(); // the focused element is gone
});
$("notice").hidden = sessionStorage.getItem(KNOWN) === "read";

connect();
