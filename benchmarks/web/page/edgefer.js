// One web build of edgefer: the folder written by `edgefer export web`.

export async function start(folder) {
  const { about, open, pictureOf } = await import(`/${folder}/edgefer.js`);
  const model = await open();
  const labelOf = (probabilities) => about.labels[probabilities.indexOf(Math.max(...probabilities))];
  return {
    judge: async (canvas) => labelOf(await model.judge(pictureOf(canvas))),
    faces: async (canvas) => (await model.faces(pictureOf(canvas))).map((face) =>
      ({ x: face.x, y: face.y, side: Math.max(face.width, face.height), label: labelOf(face.probabilities) })),
  };
}
