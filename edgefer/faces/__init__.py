"""Where the faces in a picture are. `detector` opens YuNet or OpenCV's cascade behind one interface."""
