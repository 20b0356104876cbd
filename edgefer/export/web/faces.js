// Face detection: decodes YuNet's outputs and crops the upright square around each face.

import { rectangle } from "./pixels.js";

const STRIDES = [8, 16, 32];
const MULTIPLE = 32; // YuNet's input sides are multiples of this
const THRESHOLD = 0.72; // minimum score: as in edgefer/faces/search.py, chosen on PublicTest
const OVERLAP = 0.3; // intersection over union from which two boxes are the same face
const TURNS = [30, -30]; // degrees of rotation to search a picture without a face again
const LEVEL = 10; // minimum roll in degrees to turn a face upright
const LARGEST = 256; // maximum side of a rotated square
const LOOK = 160; // side of a picture that may be one face, on a black square of
const CANVAS = 224;
const CROP = [48, 512]; // shorter and longer side of such pictures
const CROP_THRESHOLD = 0.25;
const FILLED = 0.6; // from this side / longer side on, a face is the whole picture

/**
 * Return the faces of a picture, by score times size, highest first: {x, y, width, height, score, roll}, in pixels.
 *
 * @param run YuNet: (Float32Array, [1, 3, height, width]) to its outputs by name
 * @param picture {data, width, height, channels}
 * @param small the picture scaled for detection
 * @param thorough whether a picture without a face is searched again: as one face, and rotated
 */
export async function find(run, picture, small, thorough) {
  const scale = [picture.width / small.width, picture.height / small.height];
  let found = await look(run, small, THRESHOLD);
  if (!found.length && thorough) {
    const whole = await wholePicture(run, picture);
    if (whole) return [whole];
    for (const turn of TURNS) if (!found.length) found = await lookTurned(run, small, turn);
  }
  found = found.map((face) => moved(face, scale, [0, 0]));
  return found.sort((one, two) => side(two) * two.score - side(one) * one.score);
}

/** Return a network's input for a face: the square around its middle, turned upright from 10 degrees on. */
export function square(picture, face) {
  const length = Math.max(1, cropSide(face));
  if (Math.abs(face.roll) <= LEVEL) {
    const whole = Math.max(1, Math.round(length));
    return rectangle(picture, Math.round(face.x - whole / 2), Math.round(face.y - whole / 2), whole, whole);
  }
  return turned(picture, face.x, face.y, length, (face.roll * Math.PI) / 180);
}

const side = (face) => Math.max(face.width, face.height);

/** Side of the square to classify, as in edgefer/faces/face.py. */
export const cropSide = (face) => (2 * side(face) + Math.min(face.width, face.height)) / 3;

/** Return a square that is rotated clockwise by `roll` in the picture; each pixel is an area average. */
function turned(picture, x, y, length, roll) {
  const size = Math.min(LARGEST, Math.max(1, Math.round(length)));
  const step = length / size;
  const samples = Math.ceil(step); // per pixel and direction
  const [across, down] = [Math.cos(roll), Math.sin(roll)];
  const { data, width, height, channels } = picture;
  const out = new Uint8ClampedArray(size * size * channels);
  const sums = new Float64Array(channels);
  for (let at = 0; at < size * size; at++) {
    sums.fill(0);
    for (let sample = 0; sample < samples * samples; sample++) {
      const u = (at % size) + ((sample % samples) + 0.5) / samples - size / 2;
      const v = Math.floor(at / size) + (Math.floor(sample / samples) + 0.5) / samples - size / 2;
      const left = Math.min(Math.max(x + (u * across - v * down) * step - 0.5, 0), width - 1);
      const top = Math.min(Math.max(y + (u * down + v * across) * step - 0.5, 0), height - 1);
      const [column, row] = [Math.floor(left), Math.floor(top)];
      const [right, below] = [Math.min(column + 1, width - 1), Math.min(row + 1, height - 1)];
      const [far, low] = [left - column, top - row];
      for (let channel = 0; channel < channels; channel++) {
        const value = (row_, column_) => data[(row_ * width + column_) * channels + channel];
        sums[channel] += (value(row, column) * (1 - far) + value(row, right) * far) * (1 - low)
          + (value(below, column) * (1 - far) + value(below, right) * far) * low;
      }
    }
    for (let channel = 0; channel < channels; channel++) out[at * channels + channel] = sums[channel] / samples ** 2;
  }
  return { data: out, width: size, height: size, channels };
}

/** Run YuNet on a picture at its own size. */
async function look(run, picture, threshold) {
  const [width, height] = [picture.width, picture.height].map((length) => Math.ceil(length / MULTIPLE) * MULTIPLE);
  const pixels = new Float32Array(3 * width * height); // blue, green, red; 0 to 255
  for (let row = 0, from = 0; row < picture.height; row++) {
    for (let column = 0; column < picture.width; column++, from += picture.channels) {
      for (let channel = 0; channel < 3; channel++) {
        pixels[(2 - channel) * width * height + row * width + column] = picture.data[from + channel];
      }
    }
  }
  return apart(decoded(await run(pixels, [1, 3, height, width]), width, threshold));
}

/** Run YuNet on a picture rotated clockwise; it was trained on roughly upright faces. */
async function lookTurned(run, picture, degrees) {
  const [x, y] = [picture.width / 2, picture.height / 2];
  const canvas = new OffscreenCanvas(picture.width, picture.height).getContext("2d", { willReadFrequently: true });
  canvas.translate(x, y);
  canvas.rotate((degrees * Math.PI) / 180);
  canvas.drawImage(canvasOf(picture), -x, -y);
  const shown = canvas.getImageData(0, 0, picture.width, picture.height);
  const [across, down] = [Math.cos((degrees * Math.PI) / 180), -Math.sin((degrees * Math.PI) / 180)]; // the inverse rotation
  return (await look(run, { ...picture, data: shown.data }, THRESHOLD)).map((face) => {
    const [u, v] = [face.x - x, face.y - y];
    return { ...face, x: x + u * across - v * down, y: y + u * down + v * across, roll: face.roll - degrees };
  });
}

/** Return the boxes above the threshold. Scores, boxes and landmarks are those of edgefer/faces/yunet.py. */
function decoded(outputs, width, threshold) {
  const found = [];
  for (const stride of STRIDES) {
    const [cls, obj, bbox, kps] = ["cls", "obj", "bbox", "kps"].map((part) => outputs[`${part}_${stride}`]);
    const columns = width / stride;
    for (let place = 0; place < cls.length; place++) {
      const score = Math.sqrt(Math.min(Math.max(cls[place], 0), 1) * Math.min(Math.max(obj[place], 0), 1));
      if (!(score >= threshold)) continue;
      const [column, row] = [place % columns, Math.floor(place / columns)];
      const [x, y] = [(column + bbox[4 * place]) * stride, (row + bbox[4 * place + 1]) * stride];
      const [wide, high] = [2, 3].map((at) => Math.exp(Math.min(bbox[4 * place + at], 10)) * stride);
      const points = [0, 1, 2, 3, 4].map((at) =>
        [(column + kps[10 * place + 2 * at]) * stride, (row + kps[10 * place + 2 * at + 1]) * stride]);
      found.push({ x, y, width: wide, height: high, score, roll: rollOf(points) });
    }
  }
  return found;
}

/** Clockwise rotation of a face in degrees: the sum of the vector eye to eye and the vector eyes to mouth, turned by 90. */
function rollOf([eye, other, , corner, opposite]) {
  const down = [0, 1].map((at) => (corner[at] + opposite[at] - eye[at] - other[at]) / 2);
  return (Math.atan2(other[1] - eye[1] - down[0], other[0] - eye[0] + down[1]) * 180) / Math.PI;
}

/** Non-maximum suppression. */
function apart(faces) {
  const kept = [];
  for (const face of faces.sort((one, two) => two.score - one.score)) {
    if (kept.every((other) => overlap(face, other) <= OVERLAP)) kept.push(face);
  }
  return kept;
}

function overlap(one, two) {
  const [across, down] = [["x", "width"], ["y", "height"]].map(([at, length]) => Math.max(0,
    Math.min(one[at] + one[length] / 2, two[at] + two[length] / 2) - Math.max(one[at] - one[length] / 2, two[at] - two[length] / 2)));
  return (across * down) / (one.width * one.height + two.width * two.height - across * down);
}

/** Return the face that fills a small picture, if there is one. */
async function wholePicture(run, picture) {
  const [short, long] = [Math.min(picture.width, picture.height), Math.max(picture.width, picture.height)];
  if (short < CROP[0] || long > Math.min(CROP[1], 2 * short)) return null;
  const scale = LOOK / long;
  const canvas = new OffscreenCanvas(CANVAS, CANVAS).getContext("2d", { willReadFrequently: true });
  const margin = [picture.width, picture.height].map((length) => Math.round((CANVAS - length * scale) / 2));
  canvas.fillRect(0, 0, CANVAS, CANVAS);
  canvas.imageSmoothingQuality = "high";
  canvas.drawImage(canvasOf(picture), ...margin, picture.width * scale, picture.height * scale);
  const shown = canvas.getImageData(0, 0, CANVAS, CANVAS);
  const [face] = await look(run, { data: shown.data, width: CANVAS, height: CANVAS, channels: 4 }, CROP_THRESHOLD);
  if (!face) return null;
  const found = moved(face, [1 / scale, 1 / scale], margin.map((each) => -each));
  if (side(found) < FILLED * long) return found;
  return { ...found, x: picture.width / 2, y: picture.height / 2, width: picture.width, height: picture.height };
}

/** Return a canvas that shows a picture. */
export function canvasOf(picture) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  canvas.getContext("2d").putImageData(new ImageData(picture.data, picture.width, picture.height), 0, 0);
  return canvas;
}

function moved(face, [across, down], [left, top]) {
  return { ...face, x: (face.x + left) * across, y: (face.y + top) * down, width: face.width * across, height: face.height * down };
}
