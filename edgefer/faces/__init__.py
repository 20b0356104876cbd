"""Where the faces in a picture are. `detector.open_detector` starts YuNet or OpenCV's cascade behind one interface.

That interface is `face.Detector`; video and servers rely on it::

    detector = open_detector()  # or Predictor.start_detector(), which starts it once
    for face in detector.find(frame, min_face=80):  # uint8, (H, W) grey or (H, W, 3) RGB; any thread, any size
        face.x, face.y, face.side  # the square that is judged, in pixels of the frame
        face.score, face.roll, face.landmarks  # None, 0 and () of the cascade
        pixels = crop.of(frame, face)  # that square, turned upright

Faces come sorted by `Face.rank`, score times size. `min_face` is a side in pixels: the larger, the quicker. A detector
keeps nothing from one picture to the next.
"""
