// From a picture's pixels to a network's input: bit-identical to edgefer/preprocessing.py.
//
// A picture is {data, width, height, channels}: bytes row by row, RGB or RGBA.

const BITS = 22; // fractional bits of a weight, as in Pillow's Resample.c
const LUMA = [0.299, 0.587, 0.114].map(Math.fround); // ITU-R BT.601

/** Return a rectangle of a picture. Beyond the picture, edge pixels are repeated. */
export function rectangle({ data, width, height, channels }, left, top, wide, high) {
  const out = new Uint8ClampedArray(wide * high * channels);
  let at = 0;
  for (let row = 0; row < high; row++) {
    const line = clamp(top + row, height - 1) * width;
    for (let column = 0; column < wide; column++) {
      const from = (line + clamp(left + column, width - 1)) * channels;
      for (let channel = 0; channel < channels; channel++) out[at++] = data[from + channel];
    }
  }
  return { data: out, width: wide, height: high, channels };
}

/** Return a network's input for a picture of one face: Float32Array, (channels, size, size). */
export function networkInput(picture, spec) {
  const side = Math.max(1, roundHalfEven(spec.crop * Math.min(picture.width, picture.height)));
  const left = (picture.width - side) >> 1;
  const top = (picture.height - side) >> 1;
  const planes = colours(rectangle(picture, left, top, side, side), spec.color);
  const out = new Float32Array(planes.length * spec.size * spec.size);
  planes.forEach((plane, number) => {
    const pixels = side === spec.size ? plane : resized(plane, side, spec.size, spec.interpolation);
    const mean = Math.fround(Math.fround(spec.mean[number]) * 255);
    const scale = Math.fround(1 / Math.fround(Math.fround(spec.std[number]) * 255));
    const start = number * pixels.length;
    for (let at = 0; at < pixels.length; at++) out[start + at] = Math.fround(pixels[at] - mean) * scale;
  });
  return out;
}

/** Return the planes of a picture, one grey or three; transparency becomes white with Pillow's arithmetic. */
function colours({ data, width, height, channels }, color) {
  const size = width * height;
  const planes = color === "grey" ? [new Uint8Array(size)] : [0, 1, 2].map(() => new Uint8Array(size));
  for (let at = 0, from = 0; at < size; at++, from += channels) {
    const alpha = channels === 4 ? data[from + 3] : 255;
    let [red, green, blue] = [data[from], data[from + 1], data[from + 2]];
    if (alpha < 255) [red, green, blue] = [red, green, blue].map((value) => onWhite(value, alpha));
    if (planes.length === 3) [planes[0][at], planes[1][at], planes[2][at]] = [red, green, blue];
    else planes[0][at] = roundHalfEven(Math.fround(Math.fround(Math.fround(red * LUMA[0]) + green * LUMA[1]) + blue * LUMA[2]));
  }
  return planes;
}

function onWhite(value, alpha) {
  const sum = (value * alpha + (255 - alpha) * 255) * 128 + 0x4000;
  return (((sum >> 8) + sum) >> 8) >> 7;
}

/** Return a square of bytes at another size, in two passes with weights of 22 bits. */
function resized(plane, side, size, interpolation) {
  const taps = weights(side, size, interpolation);
  return turnedPass(turnedPass(plane, side, taps), side, taps);
}

/** Resize rows of `length` bytes and transpose the result, so that two passes resize both directions. */
function turnedPass(plane, length, taps) {
  const lines = plane.length / length;
  const out = new Uint8Array(taps.length * lines);
  for (let line = 0; line < lines; line++) {
    for (let at = 0; at < taps.length; at++) {
      const { first, fixed } = taps[at];
      let sum = 1 << (BITS - 1);
      for (let tap = 0; tap < fixed.length; tap++) sum += plane[line * length + first + tap] * fixed[tap];
      out[at * lines + line] = clamp(sum >> BITS, 255);
    }
  }
  return out;
}

const FILTERS = {
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, (x) => cubic(Math.abs(x))],
};

/** Keys' cubic with a = -1/2. */
function cubic(x) {
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** Return the source pixels of each new pixel, with their weights times 2^22. */
function weights(side, size, interpolation) {
  const ratio = side / size;
  const stretch = Math.max(ratio, 1);
  if (interpolation === "nearest") {
    let at = ratio * 0.5; // accumulated as in Pillow: rounding errors decide ties
    const taps = [];
    for (; taps.length < size; at += ratio) taps.push({ first: Math.trunc(at), fixed: [1 << BITS] });
    return taps;
  }
  const [reach, filter] = FILTERS[interpolation];
  return Array.from({ length: size }, (_, at) => {
    const centre = (at + 0.5) * ratio;
    const first = Math.max(0, Math.trunc(centre - reach * stretch + 0.5));
    const end = Math.min(side, Math.trunc(centre + reach * stretch + 0.5));
    const exact = Array.from({ length: end - first }, (_, tap) => filter((first + tap - centre + 0.5) / stretch));
    const total = exact.reduce((sum, each) => sum + each, 0);
    return { first, fixed: exact.map((each) => Math.sign(each) * Math.floor(Math.abs((each / total) * 2 ** BITS) + 0.5)) };
  });
}

function clamp(value, most) {
  return value < 0 ? 0 : value > most ? most : value;
}

/** Round half to even, as Python does. */
function roundHalfEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}
