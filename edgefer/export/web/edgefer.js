// edgefer in a page: `const model = await open()`, then `await model.faces(pictureOf(image))`.

import { canvasOf, find, square } from "./faces.js";
import { networkInput, rectangle } from "./pixels.js";
import { open as openNetworks } from "./runtime.js";

const LONGEST = 640; // maximum side for face detection
const MOST = 16_000_000; // maximum pixels of a canvas: the limit of Safari on phones

const here = (name) => new URL(name, import.meta.url).href; // relative to this module, not to the page

/** The bundle as described in model.json. */
export const about = await (await fetch(here("model.json"))).json();

/**
 * Start the model.
 *
 * @param runtime a row of model.json's `runtimes`: {id, network, webgpu}; by default the first
 */
export async function open(runtime) {
  if (!globalThis.OffscreenCanvas) throw new Error("This browser is too old: it has no OffscreenCanvas");
  const chosen = about.runtimes.find((each) => each.id === runtime) ?? about.runtimes[0];
  const gpu = chosen.webgpu ? openNetworks([here(await onGpu(chosen))], true) : null;
  const [detector, own] = await openNetworks((gpu ? [about.detector] : [about.detector, chosen.network]).map(here));
  const run = gpu ? (await gpu)[0] : own;

  /** Return the probabilities of a picture of one face, in the order of `about.labels`. */
  async function judge(picture) {
    const { preprocessing: spec, temperature } = about;
    const channels = spec.color === "grey" ? 1 : 3;
    const [logits] = Object.values(await run(networkInput(picture, spec), [1, channels, spec.size, spec.size]));
    return softmax(Array.from(logits, (logit) => logit / temperature));
  }

  /**
   * Return the faces of a picture with their probabilities.
   *
   * @param longest side for detection: smaller is faster and misses small faces
   * @param thorough whether a picture without a face is searched again
   */
  async function faces(picture, { longest = LONGEST, thorough = true } = {}) {
    const found = await find(detector, picture, smaller(picture, longest), thorough);
    for (const face of found) face.probabilities = await judge(square(picture, face));
    return found;
  }

  /** Run a golden vector: a picture, or its box if it has one, with Python's probabilities. */
  function golden({ pixels, width, height, channels, box }) {
    const data = Uint8ClampedArray.from(atob(pixels), (letter) => letter.charCodeAt(0));
    const picture = { data, width, height, channels };
    if (!box) return judge(picture);
    const [left, top, right, bottom] = box;
    return judge(rectangle(picture, left, top, right - left, bottom - top));
  }

  return { runtime: chosen, judge, faces, golden };
}

/** Return the pixels of an image, a video or a canvas: at full size, but at most 16 megapixels. */
export function pictureOf(image) {
  const width = image.videoWidth ?? image.naturalWidth ?? image.width;
  const height = image.videoHeight ?? image.naturalHeight ?? image.height;
  const scale = Math.min(1, Math.sqrt(MOST / (width * height)));
  return drawn(image, ...[width, height].map((length) => Math.max(1, Math.floor(length * scale))));
}

async function onGpu({ network, fp16 }) {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error("This browser finds no GPU for WebGPU");
  return adapter.features.has("shader-f16") ? fp16 : network;
}

let scratch; // a canvas that is reused
function drawn(image, width, height) {
  scratch ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  [scratch.canvas.width, scratch.canvas.height] = [width, height]; // also clears it
  scratch.fillStyle = "white"; // transparency becomes white, as in Python
  scratch.fillRect(0, 0, width, height);
  scratch.imageSmoothingQuality = "high";
  scratch.drawImage(image, 0, 0, width, height);
  return { data: scratch.getImageData(0, 0, width, height).data, width, height, channels: 4 };
}

/** Scale a picture down to a maximum side. */
function smaller(picture, longest) {
  const scale = longest / Math.max(picture.width, picture.height);
  if (scale >= 1) return picture;
  return drawn(canvasOf(picture), ...[picture.width, picture.height].map((length) => Math.max(1, Math.round(length * scale))));
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((one, two) => one + two, 0);
  return powers.map((power) => power / sum);
}
