// @vladmandic/human with only detector and emotion network, in its WebAssembly backend.

const LABELS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]; // src/gear/emotion.ts

export async function start() {
  const { Human } = await import("/human/dist/human.esm.js");
  const human = new Human({
    backend: "wasm", wasmPath: "/tfjs-wasm/", modelBasePath: "/human/models/", warmup: "none", cacheSensitivity: 0, cacheModels: false,
    async: true, debug: false, filter: { enabled: false }, body: { enabled: false }, hand: { enabled: false },
    object: { enabled: false }, gesture: { enabled: false }, segmentation: { enabled: false },
    face: { enabled: true, detector: { rotation: false, skipFrames: 0, skipTime: 0 }, mesh: { enabled: false }, iris: { enabled: false },
      description: { enabled: false }, antispoof: { enabled: false }, liveness: { enabled: false },
      emotion: { enabled: true, skipFrames: 0, skipTime: 0, minConfidence: 0 } },
  });
  await human.load();
  const { tf } = human;
  let network = null; // loaded again: `human` has no access to it for a cropped face

  async function judge(canvas) {
    network ??= await tf.loadGraphModel("/human/models/emotion.json");
    const output = tf.tidy(() => { // as in src/gear/emotion.ts
      const resized = tf.image.resizeBilinear(tf.browser.fromPixels(canvas).toFloat().div(255).expandDims(0), [64, 64], false);
      return network.execute(tf.sum(tf.mul(resized, [0.2989, 0.5870, 0.1140]), 3, true).sub(0.5).mul(2));
    });
    const values = await output.data();
    output.dispose();
    return LABELS[values.indexOf(Math.max(...values))];
  }

  return {
    judge,
    faces: async (canvas) => (await human.detect(canvas)).face.map(({ box: [x, y, width, height], emotion }) =>
      ({ x: x + width / 2, y: y + height / 2, side: Math.max(width, height), label: emotion[0]?.emotion })),
  };
}
