"""From a camera, stream or video to the expression of each face, frame by frame. `pipeline.Live` is the way in."""
