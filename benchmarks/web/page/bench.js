// Functions for benchmarks/web/web.py. Every system takes a canvas and returns a label, or faces.

const MODULES = { "edgefer large": ["edgefer.js", "large"], "edgefer small": ["edgefer.js", "small"], "face-api": ["face-api.js"], human: ["human.js"] };
const SIDE = 48;
const running = {};
let faces = null; // all face pictures, one after another

async function start(name) {
  const [module, folder] = MODULES[name];
  running[name] ??= await (await import(`./${module}`)).start(folder);
  return running[name];
}

/** Return the milliseconds from the page request until a system has classified the face in a picture. */
export async function firstAnswer(name, address) {
  const [system, canvas] = await Promise.all([start(name), pictureAt(address)]);
  const [face] = await system.faces(canvas);
  return { ms: performance.now(), face: face ?? null };
}

/** Return a system's labels of cropped faces. */
export async function labels(name, first, count) {
  const system = await start(name);
  const found = [];
  for (let row = first; row < first + count; row++) found.push(await system.judge(await faceAt(row)));
  return found;
}

/** Return milliseconds of each system, timed in turn, for a cropped face or a whole picture. */
export async function inTurn(names, what, rounds, address) {
  const systems = [];
  for (const name of names) systems.push(await start(name));
  const taken = names.map(() => []);
  for (let round = -3; round < rounds; round++) { // three warm-up rounds
    const canvas = what === "judge" ? await faceAt(Math.max(round, 0)) : await pictureAt(address);
    for (const [at, system] of systems.entries()) {
      const start_ = performance.now();
      await system[what](canvas);
      if (round >= 0) taken[at].push(performance.now() - start_);
    }
  }
  return taken;
}

/** Return a system's detected faces in pictures. */
export async function find(name, addresses) {
  const system = await start(name);
  const found = [];
  for (const address of addresses) found.push(await system.faces(await pictureAt(address)));
  return found;
}

async function faceAt(row) {
  faces ??= new Uint8Array(await (await fetch("/data/faces.bin")).arrayBuffer());
  const pixels = new ImageData(SIDE, SIDE);
  for (let at = 0; at < SIDE * SIDE; at++) {
    pixels.data.fill(faces[row * SIDE * SIDE + at], 4 * at, 4 * at + 3);
    pixels.data[4 * at + 3] = 255;
  }
  return canvasOf(SIDE, SIDE, (context) => context.putImageData(pixels, 0, 0));
}

async function pictureAt(address) {
  const image = await createImageBitmap(await (await fetch(address)).blob());
  return canvasOf(image.width, image.height, (context) => context.drawImage(image, 0, 0));
}

function canvasOf(width, height, draw) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  draw(canvas.getContext("2d", { willReadFrequently: true }));
  return canvas;
}

const asked = new URLSearchParams(location.search).get("first");
if (asked) window.first = firstAnswer(asked, "/data/face.jpg");
