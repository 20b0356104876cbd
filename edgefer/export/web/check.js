// "Measure this device": the golden vectors, then the clock.

import { about } from "./edgefer.js";

const RUNS = 50;
const DETECTIONS = 10;

/** Run the golden vectors: {pictures, labels (that differ), largest (difference), passed}. */
export async function check(model) {
  const golden = await (await fetch(new URL(model.runtime.golden, import.meta.url))).json();
  let [labels, largest] = [0, 0];
  for (const vector of golden.vectors) {
    const found = await model.golden(vector);
    labels += golden.labels[found.indexOf(Math.max(...found))] !== vector.label;
    largest = Math.max(largest, ...found.map((each, at) => Math.abs(each - vector.probabilities[at])));
  }
  return { pictures: golden.vectors.length, labels, largest, passed: !labels && largest <= golden.tolerance };
}

/** Return a row of the results table: column to text. */
export async function measure(model, ready) {
  const checked = await check(model);
  const face = noise(48, 48);
  const scene = noise(640, 480);
  return {
    network: about.name,
    version: about.version,
    form: about.form,
    runtime: model.runtime.id,
    "browser and system": device(),
    cores: String(navigator.hardwareConcurrency ?? "?"),
    "golden vectors": `${checked.pictures - checked.labels} of ${checked.pictures}`,
    "largest difference": checked.largest.toFixed(4),
    "network, p50 ms": (await median(RUNS, () => model.judge(face))).toFixed(2),
    "detector 640x480, p50 ms": (await median(DETECTIONS, () => model.faces(scene, { thorough: false }))).toFixed(1),
    "loaded after, ms": ready.toFixed(0),
  };
}

/** Return a row as Markdown, with its heading. */
export function asMarkdown(row) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "/")).join(" | ")} |`;
  return [line(Object.keys(row)), line(Object.keys(row).map(() => "---")), line(Object.values(row))].join("\n");
}

async function median(times, run) {
  const taken = [];
  for (let at = 0; at < times + 2; at++) {
    const start = performance.now();
    await run();
    if (at >= 2) taken.push(performance.now() - start); // the first two warm up
  }
  return taken.sort((one, two) => one - two)[times >> 1];
}

function noise(width, height) {
  const data = new Uint8ClampedArray(4 * width * height);
  let state = 1;
  for (let at = 0; at < data.length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    data[at] = at % 4 === 3 ? 255 : (state >>> 16) & 255;
  }
  return { data, width, height, channels: 4 };
}

function device() {
  const brands = navigator.userAgentData?.brands.filter(({ brand }) => !/not.*brand/i.test(brand)) ?? [];
  const named = brands.map(({ brand, version }) => `${brand} ${version}`).join(", ");
  return named ? `${named}, ${navigator.userAgentData.platform}` : navigator.userAgent;
}
