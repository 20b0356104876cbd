"""Face detection. `detector.open_detector` starts YuNet or OpenCV's cascade behind one interface.

The interface is `face.Detector`; video and servers rely on it::

    detector = open_detector()  # or Predictor.start_detector(), which starts it once
    for face in detector.find(frame, min_face=80):  # uint8, (H, W) grey or (H, W, 3) RGB; any thread, any size
        face.x, face.y, face.crop_side  # the square to classify, in pixels of the frame
        face.score, face.roll, face.landmarks  # None, 0 and () for the cascade
        pixels = crop.of(frame, face)  # that square, turned upright

Faces are sorted by `Face.rank`, score times size. `min_face` is a side in pixels; larger is faster. A detector keeps no
state between pictures.
"""
