// @vladmandic/face-api: tiny detector and expression network, in its WebAssembly backend.

const NAMES = { angry: "angry", disgusted: "disgust", fearful: "fear", happy: "happy", sad: "sad", surprised: "surprise", neutral: "neutral" };

export async function start() {
  const api = await import("/face-api/dist/face-api.esm.js");
  api.tf.setWasmPaths("/tfjs-wasm/");
  await api.tf.setBackend("wasm");
  await api.tf.ready();
  await Promise.all([api.nets.tinyFaceDetector.loadFromUri("/face-api/model"), api.nets.faceExpressionNet.loadFromUri("/face-api/model")]);
  const labelOf = (expressions) => NAMES[expressions.asSortedArray()[0].expression];
  return {
    judge: async (canvas) => labelOf(await api.nets.faceExpressionNet.predictExpressions(canvas)),
    faces: async (canvas) => (await api.detectAllFaces(canvas, new api.TinyFaceDetectorOptions()).withFaceExpressions())
      .sort((one, two) => two.detection.score - one.detection.score)
      .map(({ detection: { box }, expressions }) => ({ x: box.x + box.width / 2, y: box.y + box.height / 2,
        side: Math.max(box.width, box.height), label: labelOf(expressions) })),
  };
}
