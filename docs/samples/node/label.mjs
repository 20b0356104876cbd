// Labels pictures with an exported network in Node: node label.mjs edgefer-base.onnx face.pam
// A .pam file holds one picture or several, one after another. ImageMagick writes it:
// convert face.jpg -auto-orient face.pam
import { readFileSync } from "node:fs";
import { InferenceSession, Tensor } from "onnxruntime-node";

// Netpbm's PAM: a few lines of text, then the bytes of the pixels, row by row, RGB or RGBA.
function* pictures(bytes) {
  for (let start = 0; start < bytes.length; ) {
    const body = bytes.indexOf("ENDHDR\n", start) + 7;
    const header = bytes.toString("latin1", start, body);
    const [height, width, depth] = ["HEIGHT", "WIDTH", "DEPTH"].map((key) =>
      Number(header.match(new RegExp(`^${key} (\\d+)$`, "m"))[1]),
    );
    start = body + height * width * depth;
    yield new Tensor("uint8", bytes.subarray(body, start), [height, width, depth]);
  }
}

// The labels are in the file's metadata, which onnxruntime-node does not read; the golden vectors have them too.
const [model, file] = process.argv.slice(2);
const { labels } = JSON.parse(readFileSync(model.replace(/\.onnx$/, ".golden.json")));
const session = await InferenceSession.create(model, { intraOpNumThreads: 1 });
for (const image of pictures(readFileSync(file))) {
  const { probabilities } = await session.run({ image });
  const shares = Array.from(probabilities.data);
  const confidence = Math.max(...shares);
  console.log(labels[shares.indexOf(confidence)], confidence.toFixed(4));
}
