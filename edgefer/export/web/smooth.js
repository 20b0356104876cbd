// Steady labels: the average of a face's probabilities over about a second.

const SECONDS = 0.7; // until a prediction's weight decays to 1/e
const FORGOTTEN = 1.5; // seconds after which a missing face is dropped

export class Smoother {
  #tracks = [];

  /** Return the probabilities of a face, averaged with those of the previous face at its position. */
  smooth(face, now) {
    this.#tracks = this.#tracks.filter((track) => now - track.time < FORGOTTEN);
    const reach = Math.max(face.width, face.height) / 2;
    const track = this.#tracks.find((each) => each.time < now && Math.hypot(each.x - face.x, each.y - face.y) < reach);
    if (!track) {
      this.#tracks.push({ x: face.x, y: face.y, time: now, average: face.probabilities });
      return face.probabilities;
    }
    const kept = Math.exp((track.time - now) / SECONDS);
    track.average = track.average.map((before, at) => kept * before + (1 - kept) * face.probabilities[at]);
    Object.assign(track, { x: face.x, y: face.y, time: now });
    return track.average;
  }
}
