// ONNX Runtime Web as this page uses it: one thread of WebAssembly, or WebGPU on request.

const WASM = { module: "./ort/ort.wasm.bundle.min.mjs", providers: ["wasm"] };
const WEBGPU = { module: "./ort/ort.webgpu.bundle.min.mjs", providers: ["webgpu"] };

/**
 * Open networks: each becomes a function from (Float32Array, shape) to Float32Arrays by output name.
 *
 * @param addresses of ONNX files
 * @param webgpu whether they run on the GPU
 */
export async function open(addresses, webgpu = false) {
  const { module, providers } = webgpu ? WEBGPU : WASM;
  const [ort, ...files] = await Promise.all([import(module), ...addresses.map(bytes)]);
  ort.env.wasm.numThreads = 1; // more threads need headers that plain file servers do not send
  const networks = [];
  for (const file of files) networks.push(network(ort, await ort.InferenceSession.create(file, { executionProviders: providers })));
  return networks;
}

function network(ort, session) {
  const [input] = session.inputNames;
  return async (values, shape) => {
    const outputs = await session.run({ [input]: new ort.Tensor("float32", values, shape) });
    return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.data]));
  };
}

async function bytes(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}
