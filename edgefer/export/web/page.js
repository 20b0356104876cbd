// The page: consent first, then a camera or a picture, and its predictions.

import { asMarkdown, measure } from "./check.js";
import { about, open, pictureOf } from "./edgefer.js";
import { cropSide } from "./faces.js";
import { Smoother } from "./smooth.js";

const $ = (id) => document.getElementById(id);
const NAMED = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "unsure"];
const CAMERA = { longest: 320, thorough: false }; // fast detection: another frame follows
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
const canvas = $("picture").getContext("2d");
let model = null;
let stream = null; // of the camera
let ready = 0; // milliseconds until the model was ready; initially since the page was requested
let row = null; // the measured row

function say(text) {
  if ($("state").textContent !== text) $("state").textContent = text; // screen readers announce each change
}

function make(name, about = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(about)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

// ---- the model

async function start(runtime) {
  const begun = runtime ? performance.now() : 0;
  say("Loading");
  model = null;
  const opened = await open(runtime);
  await opened.judge({ data: new Uint8ClampedArray(48 * 48 * 3), width: 48, height: 48, channels: 3 }); // warms up
  model = opened;
  ready = performance.now() - begun;
  say("Ready");
}

$("notice-lines").replaceChildren(...about.notice.map((line) => make("li", {}, line)));
$("about").textContent = `${about.name}, ${about.form} form, edgefer ${about.version}.`;
for (const { id } of about.runtimes.filter(({ webgpu }) => !webgpu || "gpu" in navigator)) $("runtime").append(make("option", { value: id }, id));
$("runtime").addEventListener("change", () => {
  started = start($("runtime").value).catch(async (error) => {
    $("runtime").selectedIndex = 0;
    await start();
    failed(error);
  });
});
let started = start().catch(failed);

$("notice").hidden = false; // enable its button
$("agreed").addEventListener("click", () => {
  $("notice").hidden = true;
  $("watch").hidden = false;
  $("camera").focus(); // the focused element is gone
});

// ---- pictures

$("file").addEventListener("change", () => show($("file").files[0]));
$("watch").addEventListener("dragover", (event) => event.preventDefault());
$("watch").addEventListener("drop", (event) => {
  event.preventDefault();
  show(event.dataTransfer.files[0]);
});

async function show(file) {
  if (!file) return;
  stop();
  await started;
  if (!model) return; // the error is shown already
  try {
    const image = await createImageBitmap(file);
    say("Looking");
    await answer(image);
    say("Ready");
  } catch (error) {
    failed(error instanceof DOMException ? new Error(`${file.name} is not a picture that this browser can read`) : error);
  }
}

let asking = false; // camera requested: a second press would open it twice
$("camera").addEventListener("click", async () => {
  if (stream) return stop();
  if (asking) return;
  asking = true;
  try {
    await watch(await camera());
  } catch (error) {
    stop();
    failed(new Error(`The camera cannot be used: ${error.message}`));
  }
});

async function camera() {
  try {
    if (!navigator.mediaDevices) throw new Error("browsers allow it only on https and localhost");
    return await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" }, audio: false });
  } finally {
    asking = false;
  }
}

async function watch(live) {
  stream = live;
  live.getVideoTracks()[0].addEventListener("ended", () => stream === live && stop()); // unplugged
  $("camera").setAttribute("aria-pressed", "true");
  await started;
  if (!model) return end(); // the error is shown already
  const video = make("video", { playsinline: "", muted: "" });
  video.muted = true;
  video.srcObject = live;
  if (stream === live) await video.play();
  if (stream === live) say("Live");
  const smoother = new Smoother();
  while (stream === live) {
    if (model && video.readyState >= 2) await answer(video, CAMERA, smoother).catch(failed);
    await new Promise((done) => requestAnimationFrame(done));
  }
}

function stop() {
  if (!stream) return;
  end();
  say("Ready");
}

function end() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  $("camera").setAttribute("aria-pressed", "false");
}

async function answer(image, options, smoother) {
  const picture = pictureOf(image);
  const faces = await model.faces(picture, options);
  for (const face of faces) if (smoother) face.probabilities = smoother.smooth(face, performance.now() / 1000);
  for (const face of faces) face.label = labelOf(face.probabilities);
  draw(picture, faces);
  list(faces);
}

function labelOf(probabilities) {
  const most = Math.max(...probabilities);
  return most < about.min_confidence ? "unsure" : about.labels[probabilities.indexOf(most)];
}

function hue(label) {
  return NAMED.includes(label) ? label : String(Math.max(0, about.labels.indexOf(label)) % 7);
}

function draw(picture, faces) {
  const { width, height } = picture;
  [canvas.canvas.width, canvas.canvas.height] = [width, height];
  canvas.putImageData(new ImageData(picture.data, width, height), 0, 0);
  const size = (15 * width) / Math.max(1, canvas.canvas.clientWidth); // 15 px on the screen
  canvas.font = `650 ${size}px system-ui, sans-serif`;
  faces.forEach((face, number) => {
    const side = cropSide(face);
    const [left, top] = [face.x - side / 2, face.y - side / 2];
    const style = getComputedStyle(swatch(face.label));
    canvas.lineWidth = size / 5;
    canvas.strokeStyle = style.getPropertyValue("--label");
    canvas.strokeRect(left, top, side, side);
    const words = `${number + 1}  ${inWords(face)}`;
    const wide = canvas.measureText(words).width + size;
    const x = Math.max(0, Math.min(left, width - wide));
    const y = Math.max(0, top - 1.6 * size);
    canvas.fillStyle = style.getPropertyValue("--label");
    canvas.fillRect(x, y, wide, 1.6 * size);
    canvas.fillStyle = style.getPropertyValue("--on");
    canvas.fillText(words, x + size / 2, y + 1.15 * size);
  });
  $("cover").hidden = true;
  const told = faces.length ? faces.map((face, number) => `face ${number + 1}: ${inWords(face)}`).join(", ") : "No face in the picture";
  if (canvas.canvas.getAttribute("aria-label") !== told) canvas.canvas.setAttribute("aria-label", told);
}

let swatches; // one element per colour, set by CSS
function swatch(label) {
  swatches ??= document.body.appendChild(make("span", { hidden: "" }));
  swatches.dataset.hue = hue(label);
  return swatches;
}

const inWords = (face) => (face.label === "unsure" ? "unsure" : `${face.label} ${percent(Math.max(...face.probabilities))}`);

function list(faces) {
  $("nobody").hidden = faces.length > 0;
  $("nobody").textContent = "No face in the picture.";
  $("faces").replaceChildren(...faces.map((face, number) => {
    const bars = make("dl", { class: "bars" });
    about.labels.forEach((label, at) => {
      const bar = make("i");
      bar.style.setProperty("--share", face.probabilities[at]);
      bars.append(make("dt", label === face.label ? { class: "first" } : {}, label),
        make("dd", {}, make("span", {}, bar, percent(face.probabilities[at]))));
    });
    const head = make("h3", {}, make("span", {}, face.label), make("small", {}, `face ${number + 1}`));
    return make("li", { "data-hue": hue(face.label) }, head, bars);
  }));
}

// ---- the device

$("measure").addEventListener("click", async () => {
  stop();
  await started;
  if (!model) return;
  $("measure").disabled = true;
  say("Measuring");
  try {
    row = await measure(model, ready);
    $("columns").replaceChildren(...Object.keys(row).map((name) => make("th", { scope: "col" }, name)));
    $("row").replaceChildren(...Object.values(row).map((value) => make("td", {}, value)));
    $("measured").hidden = $("copy").hidden = false;
    say("Ready");
  } catch (error) {
    failed(error);
  } finally {
    $("measure").disabled = false;
  }
});

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(asMarkdown(row)); // needs https or localhost
    say("Copied");
  } catch {
    say("This browser blocks copying here: select the row");
  }
});

function failed(error) {
  say(error.message);
}

// ---- offline

if ("serviceWorker" in navigator) navigator.serviceWorker.register("offline.js").catch(() => {}); // optional
