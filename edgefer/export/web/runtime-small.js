// The small form's runtime: layers from edgefer/export/small_network.py, run by kernels.c in WebAssembly.

const PAGE = 65536; // bytes of WebAssembly's memory; the first one is the kernels' stack
const compiled = bytes(new URL("kernels.wasm", import.meta.url)).then(compile); // at once: the rest takes longer
compiled.catch(() => {}); // `open` reports it
const padded = (channels) => (channels + 3) & ~3;

/** Open networks: each becomes a function from (Float32Array, shape) to Float32Arrays by output name. */
export async function open(addresses) {
  const [module, ...files] = await Promise.all([compiled, ...addresses.map(bytes)]);
  return Promise.all(files.map((file) => network(module, file)));
}

function compile(kernels) {
  if (!WebAssembly.validate(kernels)) throw new Error("This browser is too old: its WebAssembly has no SIMD");
  return WebAssembly.compile(kernels);
}

async function network(module, file) {
  const length = new DataView(file).getUint32(0, true);
  const { channels, layers, outputs } = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 4, length)));
  const weights = whole(halves(new Uint16Array(file, 4 + length)), layers);
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const first = PAGE + 4 * weights.length;
  reserve(memory, first);
  new Float32Array(memory.buffer, PAGE, weights.length).set(weights);
  let planned = null; // for the newest shape

  return async (values, [, , height, width]) => {
    if (planned?.height !== height || planned.width !== width) planned = plan(layers, channels, height, width, first);
    const { tensors, calls, end } = planned;
    if (planned.fresh) {
      reserve(memory, end);
      new Uint8Array(memory.buffer, first, end - first).fill(0); // borders stay zero
      planned.fresh = false;
    }
    put(new Float32Array(memory.buffer), values, tensors[0]);
    for (const [name, ...about] of calls) exports[name](...about);
    const floats = new Float32Array(memory.buffer);
    return Object.fromEntries(outputs.map(({ name, tensor, sigmoid }) => [name, taken(floats, tensors[tensor], sigmoid)]));
  };
}

/** Return the tensors' addresses for an input size, and the kernel calls. */
function plan(layers, channels, height, width, first) {
  const tensors = [];
  let end = first;
  const add = (number, high, wide) => {
    const pixel = padded(channels[number]);
    const row = (wide + 2) * pixel;
    tensors[number] = { start: end, row, pixel, channels: channels[number], height: high, width: wide };
    end += 4 * row * (high + 2);
    return tensors[number];
  };
  add(0, height, width);
  const calls = layers.map((layer) => {
    const from = tensors[layer.in];
    if (layer.op === "conv" || layer.op === "depthwise") {
      const { side, stride, pad, relu } = layer;
      const [high, wide] = [from.height, from.width].map((length) => Math.floor((length + 2 * pad - side) / stride) + 1);
      const out = add(layer.out, high, wide);
      const [weights, bias] = [layer.weights, layer.bias].map((at) => PAGE + 4 * at);
      const into = [at(out), out.row, out.pixel, high, wide, out.pixel, relu];
      const start = at(from, -pad);
      if (layer.op === "depthwise") return ["depthwise", start, from.row, from.pixel, weights, bias, ...into];
      const more = layer.add === null ? 0 : at(tensors[layer.add]);
      return ["conv", start, from.row, from.pixel, from.channels, weights, bias, side, stride, more, ...into];
    }
    if (layer.op === "average") {
      const out = add(layer.out, 1, 1);
      return ["average", at(from), from.row, from.pixel, from.height, from.width, at(out), out.pixel];
    }
    if (layer.op === "maxpool") {
      const out = add(layer.out, from.height >> 1, from.width >> 1);
      return ["maxpool", at(from), from.row, from.pixel, at(out), out.row, out.pixel, out.height, out.width, out.pixel];
    }
    const half = tensors[layer.half];
    const out = add(layer.out, from.height, from.width);
    return ["upsample_add", at(from), at(half), half.row, half.pixel, at(out), out.row, out.pixel, out.height, out.width, out.pixel];
  });
  return { height, width, tensors, calls, end, fresh: true };
}

/** Return the address of a tensor's pixel (place, place); (-1, -1) is the corner of its border. */
function at(tensor, place = 0) {
  return tensor.start + 4 * ((place + 1) * tensor.row + (place + 1) * tensor.pixel);
}

/** Write (channels, height, width) into a tensor. */
function put(floats, values, tensor) {
  const { row, pixel, channels, height, width } = tensor;
  const start = at(tensor) / 4;
  let from = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0, to = start + y * row + channel; x < width; x++, to += pixel) floats[to] = values[from++];
    }
  }
}

/** Return a tensor's values, (height, width, channels). */
function taken(floats, tensor, sigmoid) {
  const { row, pixel, channels, height, width } = tensor;
  const out = new Float32Array(height * width * channels);
  const start = at(tensor) / 4;
  for (let to = 0, y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        const value = floats[start + y * row + x * pixel + channel];
        out[to++] = sigmoid ? 1 / (1 + Math.exp(-value)) : value;
      }
    }
  }
  return out;
}

function reserve(memory, end) {
  const lacking = Math.ceil((end - memory.buffer.byteLength) / PAGE);
  if (lacking > 0) memory.grow(lacking);
}

/** Return all weights: after the file's, those of layers of which it has one half, in the kernels' blocks of 8. */
function whole(stored, layers) {
  const made = [];
  const push = (layer) => {
    const { side, weights, halved: [inputs, outputs] } = layer;
    const half = outputs / 2;
    layer.weights = stored.length + made.length;
    for (let block = 0; block < outputs; block += 8) {
      for (let y = 0; y < side; y++) {
        for (let x = 0; x < side; x++) {
          for (let input = 0; input < inputs; input++) {
            for (let output = block; output < Math.min(block + 8, outputs); output++) {
              const other = output >= half; // reads the other half of the inputs, from right to left
              const column = other ? side - 1 - x : x;
              const from = other ? (input + (inputs >> 1)) % inputs : input;
              made.push(stored[weights + ((y * side + column) * inputs + from) * half + (output % half)]);
            }
          }
        }
      }
    }
  };
  layers.filter((layer) => layer.halved).forEach(push);
  const all = new Float32Array(stored.length + made.length);
  all.set(stored);
  all.set(made, stored.length);
  return all;
}

/** Return float16 numbers as float32. */
function halves(bits) {
  const powers = Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 25));
  return Float32Array.from(bits, (each) => {
    const exponent = (each >> 10) & 31;
    const value = ((each & 1023) + (exponent ? 1024 : 0)) * powers[exponent];
    return each >> 15 ? -value : value;
  });
}

async function bytes(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  return answer.arrayBuffer();
}
