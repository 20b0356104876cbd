// One peer of npm's in a Node process of its own: see worker.py, whose commands it answers.
//
//   node worker.js face-api|human FOLDER IMAGES.npy
//
// FOLDER has node_modules. Networks run in tfjs' WebAssembly backend with SIMD on one thread: tfjs-node fetches
// TensorFlow from elsewhere than npm while it is installed.

const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");
const readline = require("readline");

const [kind, folder, images] = process.argv.slice(2);
const need = createRequire(path.join(path.resolve(folder), "any.js"));
const PACKAGES = { "face-api": "@vladmandic/face-api", human: "@vladmandic/human" };
// Where each of FER2013's classes (angry, disgust, fear, happy, sad, surprise, neutral) stands in a network's output.
const ORDER = { "face-api": [3, 5, 4, 1, 2, 6, 0], human: [0, 1, 2, 3, 4, 5, 6] };

/** Return the pictures of a .npy file, uint8, (N, H, W). */
function pictures(file) {
  const content = fs.readFileSync(file);
  const start = 10 + content.readUInt16LE(8);
  const [count, height, width] = /'shape': \((\d+), (\d+), (\d+)\)/.exec(content.toString("latin1", 10, start)).slice(1).map(Number);
  return { count, side: [height, width], at: (row) => content.subarray(start + row * height * width, start + (row + 1) * height * width) };
}

async function open() {
  const tf = need("@tensorflow/tfjs");
  const wasm = need("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(path.join(path.resolve(folder), "node_modules/@tensorflow/tfjs-backend-wasm/dist/"));
  wasm.setThreadsCount(1);
  await tf.setBackend("wasm");
  await tf.ready();
  return tf;
}

/** Return a picture enlarged, float32, (1, size, size, 1): bilinear, middles of pixels on one another as a canvas has it. */
const enlarged = (tf, pixels, side, size) => tf.image.resizeBilinear(tf.tensor4d(Float32Array.from(pixels), [1, ...side, 1]), [size, size], false, true);

/** The expression network of @vladmandic/face-api: 112 pixels, RGB, 0 to 255; it subtracts means itself. */
async function faceApi(tf) {
  const api = need("@vladmandic/face-api/dist/face-api.node-wasm.js");
  const network = api.nets.faceExpressionNet;
  await network.loadFromDisk(path.join(folder, "node_modules", PACKAGES[kind], "model"));
  return {
    prepare: (pixels, side) => tf.tidy(() => tf.tile(enlarged(tf, pixels, side, 112), [1, 1, 1, 3]).squeeze([0])),
    run: (input) => tf.tidy(() => network.forwardInput(new api.NetInput([input])).dataSync()),
  };
}

/** The emotion network of @vladmandic/human, as its src/gear/emotion.ts calls it: 64 pixels, grey, -1 to 1. */
async function human(tf) {
  const models = path.join(folder, "node_modules", PACKAGES[kind], "models");
  const { modelTopology, weightsManifest } = JSON.parse(fs.readFileSync(path.join(models, "emotion.json"), "utf8"));
  const file = fs.readFileSync(path.join(models, weightsManifest[0].paths[0]));
  const weightData = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
  const network = await tf.loadGraphModel(tf.io.fromMemory({ modelTopology, weightSpecs: weightsManifest[0].weights, weightData }));
  return {
    prepare: (pixels, side) => tf.tidy(() => enlarged(tf, pixels, side, 64).div(255).sub(0.5).mul(2)),
    run: (input) => tf.tidy(() => network.execute(input).dataSync()),
  };
}

function peakMemory() {
  return 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]);
}

async function main() {
  const all = pictures(images);
  const tf = await open();
  const { prepare, run } = await (kind === "human" ? human : faceApi)(tf);
  const judged = (row) => {
    const input = prepare(all.at(row), all.side);
    const output = run(input);
    input.dispose();
    return ORDER[kind].map((place) => output[place]);
  };
  const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  say({ first: judged(0) });
  let inputs = null;
  let place = 0;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [command, untimed, timed] = line.split(" ");
    if (command === "time") {
      inputs ??= Array.from({ length: Math.min(64, all.count) }, (_, row) => prepare(all.at(row), all.side));
      for (let turn = 0; turn < Number(untimed); turn++) run(inputs[place]);
      const seconds = [];
      for (let turn = 0; turn < Number(timed); turn++) {
        place = (place + 1) % inputs.length;
        const started = process.hrtime.bigint();
        run(inputs[place]);
        seconds.push(Number(process.hrtime.bigint() - started) / 1e9);
      }
      say(seconds);
    } else if (command === "evaluate") say(Array.from({ length: all.count }, (_, row) => judged(row)));
    else if (command === "memory") say(peakMemory());
    else if (command === "versions") {
      const version = (name) => JSON.parse(fs.readFileSync(path.join(folder, "node_modules", name, "package.json"), "utf8")).version;
      say({ node: process.versions.node, ...Object.fromEntries([PACKAGES[kind], "@tensorflow/tfjs", "@tensorflow/tfjs-backend-wasm"].map((name) => [name, version(name)])) });
    }
  }
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
